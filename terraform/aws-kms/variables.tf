# Where terraform-aws-modules/terraform-aws-kms has an input for it, the name and the meaning are the same.

variable "create" {
  description = "Whether anything is created"
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of all resources"
  type        = map(string)
  default     = {}
}

# The key

variable "description" {
  description = "Description of the key, as the console shows it"
  type        = string
  default     = "fluo-kms: master key of the tenants' keys"
}

variable "deletion_window_in_days" {
  description = "How long a key that is destroyed can still be had back, 7 to 30 days; then all that it wrapped is lost"
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_in_days >= 7 && var.deletion_window_in_days <= 30
    error_message = "deletion_window_in_days must be 7 to 30."
  }
}

variable "enable_key_rotation" {
  description = "Whether AWS makes new key material from time to time. The key's id and ARN stay, and what older material wrapped still opens"
  type        = bool
  default     = true
}

variable "rotation_period_in_days" {
  description = "The days from one rotation to the next, 90 to 2560"
  type        = number
  default     = 365

  validation {
    condition     = var.rotation_period_in_days >= 90 && var.rotation_period_in_days <= 2560
    error_message = "rotation_period_in_days must be 90 to 2560."
  }
}

variable "multi_region" {
  description = "Whether the key can have replicas in other Regions. Cannot be changed later: Terraform would make another key and destroy this one"
  type        = bool
  default     = false
}

variable "create_replica" {
  description = "Whether there is a replica in the Region of the provider configuration aws.replica; needs multi_region"
  type        = bool
  default     = false

  validation {
    condition     = !var.create_replica || var.multi_region
    error_message = "create_replica needs multi_region = true: a key of one Region has no replicas."
  }
}

variable "aliases" {
  description = "Names of the key, without `alias/`; of the replica too. Must be known before apply"
  type        = list(string)
  default     = ["fluo-kms"]

  validation {
    condition     = alltrue([for name in var.aliases : can(regex("^[A-Za-z0-9/_-]+$", name)) && !can(regex("^(alias/|aws/)", name))])
    error_message = "aliases are letters, digits, / _ and -, without the prefix alias/, and do not begin with aws/."
  }
}

# The key policy

variable "enable_default_policy" {
  description = "Whether the account's IAM policies count at this key. Without it the key policy alone says who may do what, the role included"
  type        = bool
  default     = true
}

variable "key_owners" {
  description = "ARNs of principals that may do everything with the key"
  type        = list(string)
  default     = []
}

variable "key_administrators" {
  description = "ARNs of principals that may manage the key, and not encrypt or decrypt. They may change its policy, so they can give themselves more"
  type        = list(string)
  default     = []
}

variable "key_users" {
  description = "ARNs of further principals that may use the key as the service does, such as a role of another account"
  type        = list(string)
  default     = []
}

variable "source_policy_documents" {
  description = "JSON policy documents whose statements are added to the key policy, such as a deny for everyone but some principals"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for document in var.source_policy_documents : can(jsondecode(document).Statement)])
    error_message = "source_policy_documents must be JSON policy documents with a Statement."
  }
}

variable "bypass_policy_lockout_safety_check" {
  description = "Whether AWS takes a key policy that shuts out whoever sets it"
  type        = bool
  default     = false
}

variable "restrict_encryption_context" {
  description = "Whether the role and key_users may use the key under the encryption contexts of fluo-kms alone, and under no other or none"
  type        = bool
  default     = true
}

# The role of the service

variable "create_role" {
  description = "Whether there is a role for the service. Without it, name the service's own role in key_users"
  type        = bool
  default     = true
}

variable "role_name" {
  description = "Name of the role"
  type        = string
  default     = "fluo-kms"
}

variable "role_permissions_boundary_arn" {
  description = "ARN of the policy that bounds what the role may do"
  type        = string
  default     = null
}

variable "assume_role_policy" {
  description = "JSON trust policy of the role, instead of what the inputs below make"
  type        = string
  default     = null

  validation {
    condition     = var.assume_role_policy == null || can(jsondecode(var.assume_role_policy).Statement)
    error_message = "assume_role_policy must be a JSON policy document with a Statement."
  }
}

variable "trusted_principals" {
  description = "ARNs of principals that may assume the role"
  type        = list(string)
  default     = []
}

variable "trusted_services" {
  description = "AWS services that may assume the role, such as ecs-tasks.amazonaws.com or ec2.amazonaws.com"
  type        = list(string)
  default     = []
}

variable "oidc_providers" {
  description = "IAM roles for service accounts: of each EKS cluster the ARN of its OIDC provider, and the service accounts as namespace:name"
  type = map(object({
    provider_arn               = string
    namespace_service_accounts = list(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for each in var.oidc_providers : can(regex(":oidc-provider/.", each.provider_arn))])
    error_message = "provider_arn must be the ARN of an OIDC provider in IAM, arn:aws:iam::ACCOUNT:oidc-provider/…"
  }

  # A name with * in it would be taken letter by letter and let nobody in; none would leave the role open to nobody, or be a mistake.
  validation {
    condition = alltrue([for each in var.oidc_providers : length(each.namespace_service_accounts) > 0 && alltrue([
      for name in each.namespace_service_accounts : can(regex("^[a-z0-9-]+:[a-z0-9.-]+$", name))
    ])])
    error_message = "namespace_service_accounts must be one name at least, each as namespace:name."
  }
}

variable "pod_identity_associations" {
  description = "EKS Pod Identity: the clusters, in the key's Region and account, and service accounts whose pods get the role"
  type = map(object({
    cluster_name    = string
    namespace       = string
    service_account = string
  }))
  default = {}
}
