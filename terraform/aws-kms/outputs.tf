output "key_arn" {
  description = "ARN of the key"
  value       = one(aws_kms_key.this[*].arn)
}

output "key_id" {
  description = "Id of the key, and of its replica"
  value       = one(aws_kms_key.this[*].key_id)
}

output "key_policy" {
  description = "The key policy, JSON"
  value       = one(aws_kms_key.this[*].policy)
}

output "alias_arn" {
  description = "ARN of the first of `aliases`"
  value       = try(aws_kms_alias.this[var.aliases[0]].arn, null)
}

output "replica_key_arn" {
  description = "ARN of the replica; null without one"
  value       = one(aws_kms_replica_key.this[*].arn)
}

output "replica_alias_arn" {
  description = "ARN of the first of `aliases` in the replica's Region; null without one"
  value       = try(aws_kms_alias.replica[var.aliases[0]].arn, null)
}

output "role_arn" {
  description = "ARN of the service's role"
  value       = one(aws_iam_role.this[*].arn)
}

output "role_policy" {
  description = "The policy of the service's role, JSON"
  value       = one(aws_iam_role_policy.this[*].policy)
}

output "application_properties" {
  description = "The lines that application.properties needs for this key"
  # The ARN and not the alias, which could later be pointed elsewhere.
  value = var.create ? join("", concat(
    [
      "fluo.kms.provider=aws\n",
      "aws.kms.master-key-id=${aws_kms_key.this[0].arn}\n",
      "aws.kms.region=${local.key_region}\n",
    ],
    [for key in aws_kms_replica_key.this : "aws.kms.failover=${local.replica_region}=${key.arn}\n"],
  )) : null
}
