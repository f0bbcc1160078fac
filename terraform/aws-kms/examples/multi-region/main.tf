# A key and its replica in a second Region, which the service turns to while the first is unavailable.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.50"
    }
  }
}

variable "trusted_principals" {
  description = "Who may assume the service's role"
  type        = list(string)
}

variable "enable_default_policy" {
  description = "Whether the account's IAM policies count at the key"
  type        = bool
  default     = true
}

variable "key_owners" {
  description = "Who may do everything with the key"
  type        = list(string)
  default     = []
}

provider "aws" {
  region = "eu-central-1"
}

provider "aws" {
  alias  = "replica"
  region = "eu-west-1"
}

module "fluo_kms" {
  source = "../../"

  providers = {
    aws         = aws
    aws.replica = aws.replica
  }

  multi_region            = true
  create_replica          = true
  rotation_period_in_days = 90

  enable_default_policy = var.enable_default_policy
  key_owners            = var.key_owners
  trusted_principals    = var.trusted_principals

  tags = {
    Service = "fluo-kms"
  }
}

output "application_properties" {
  description = "To paste into application.properties"
  value       = module.fluo_kms.application_properties
}

output "role_arn" {
  description = "What the service runs as"
  value       = module.fluo_kms.role_arn
}

output "key_arn" {
  description = "The key"
  value       = module.fluo_kms.key_arn
}

output "replica_key_arn" {
  description = "Its replica"
  value       = module.fluo_kms.replica_key_arn
}
