# One key in one Region, for a service that runs on ECS.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.50"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

module "fluo_kms" {
  source = "../../"

  providers = {
    aws         = aws
    aws.replica = aws # there is no replica
  }

  trusted_services = ["ecs-tasks.amazonaws.com"]

  tags = {
    Service = "fluo-kms"
  }
}

output "application_properties" {
  description = "To paste into application.properties"
  value       = module.fluo_kms.application_properties
}

output "role_arn" {
  description = "The task role"
  value       = module.fluo_kms.role_arn
}
