# A service on EKS, by its service account: with IAM roles for service accounts on one cluster, with Pod Identity on another. The key
# policy names everybody who may do anything with the key; the account's IAM policies do not count.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.50"
    }
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the first cluster's OIDC provider in IAM"
  type        = string
}

variable "pod_identity_cluster" {
  description = "Name of a cluster with the Pod Identity agent"
  type        = string
}

variable "key_administrators" {
  description = "ARNs of who manages the key: must include who runs Terraform"
  type        = list(string)
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

  enable_default_policy = false
  key_administrators    = var.key_administrators

  oidc_providers = {
    blue = {
      provider_arn               = var.oidc_provider_arn
      namespace_service_accounts = ["fluo:fluo-kms"]
    }
  }

  pod_identity_associations = {
    green = {
      cluster_name    = var.pod_identity_cluster
      namespace       = "fluo"
      service_account = "fluo-kms"
    }
  }
}

output "application_properties" {
  description = "To paste into application.properties"
  value       = module.fluo_kms.application_properties
}

output "role_arn" {
  description = "For the service account's annotation eks.amazonaws.com/role-arn, on the first cluster"
  value       = module.fluo_kms.role_arn
}
