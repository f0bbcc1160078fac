# The master key, its replica in another Region, and their names.

data "aws_caller_identity" "current" {
  count = var.create ? 1 : 0
}

data "aws_partition" "current" {
  count = var.create ? 1 : 0
}

locals {
  has_replica = var.create && var.create_replica
  has_role    = var.create && var.create_role

  # Parts of an ARN are named here rather than asked for: the data source for the Region changed its attributes from provider 5 to 6.
  key_region     = one([for key in aws_kms_key.this : split(":", key.arn)[3]])
  replica_region = one([for key in aws_kms_replica_key.this : split(":", key.arn)[3]])
}

resource "aws_kms_key" "this" {
  count = var.create ? 1 : 0

  description                        = var.description
  key_usage                          = "ENCRYPT_DECRYPT"
  customer_master_key_spec           = "SYMMETRIC_DEFAULT"
  multi_region                       = var.multi_region
  enable_key_rotation                = var.enable_key_rotation
  rotation_period_in_days            = var.enable_key_rotation ? var.rotation_period_in_days : null
  deletion_window_in_days            = var.deletion_window_in_days
  policy                             = local.key_policy
  bypass_policy_lockout_safety_check = var.bypass_policy_lockout_safety_check
  tags                               = var.tags

  lifecycle {
    precondition {
      condition     = var.enable_default_policy || length(var.key_owners) + length(var.key_administrators) > 0
      error_message = "Without enable_default_policy nobody could manage the key: name key_owners or key_administrators."
    }
  }
}

# Key material, id and rotation are the primary's; policy, tags, description and aliases are the replica's own:
# https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
resource "aws_kms_replica_key" "this" {
  count    = local.has_replica ? 1 : 0
  provider = aws.replica

  primary_key_arn                    = aws_kms_key.this[0].arn
  description                        = var.description
  deletion_window_in_days            = var.deletion_window_in_days
  policy                             = local.key_policy
  bypass_policy_lockout_safety_check = var.bypass_policy_lockout_safety_check
  tags                               = var.tags
}

resource "aws_kms_alias" "this" {
  for_each = var.create ? toset(var.aliases) : toset([])

  name          = "alias/${each.value}"
  target_key_id = aws_kms_key.this[0].key_id
}

resource "aws_kms_alias" "replica" {
  for_each = local.has_replica ? toset(var.aliases) : toset([])
  provider = aws.replica

  name          = "alias/${each.value}"
  target_key_id = aws_kms_replica_key.this[0].key_id
}
