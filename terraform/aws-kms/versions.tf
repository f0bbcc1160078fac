terraform {
  # Validations here look at other variables, which Terraform does since 1.9.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # rotation_period_in_days came with 5.50, in May 2024.
      version = ">= 5.50"
      # Where the replica is. Without one, hand over the same configuration twice: `aws.replica = aws`.
      configuration_aliases = [aws.replica]
    }
  }
}
