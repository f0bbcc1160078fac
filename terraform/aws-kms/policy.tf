# Who may do what with the key. What the service may do is written once, and stands in the role's policy and, where that one does not
# count, in the key policy.
#
# There is no kms:ViaService: it holds the service that AWS KMS is called by on a principal's behalf, such as S3. fluo-kms calls AWS KMS
# itself, so the condition key is not in its requests, and such a statement would allow nothing.
# https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service

locals {
  # The encryption contexts that fluo-kms sends, and with which operations: everything that it wraps is bound to one of these. Validate's
  # probes are of the first kind. Where it tries what must be refused (another tenant, another store), only a value differs, so that it is
  # the ciphertext that is refused there and not the caller: a denied call would prove nothing, and the service would not start.
  contexts = {
    UseForTenantKeys = {
      actions  = ["kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt"]
      purposes = ["data", "signing"]
      names    = ["tenant_id", "key_id"]
    }
    UseForStoreKey = {
      actions  = ["kms:Encrypt", "kms:Decrypt"]
      purposes = ["store"]
      names    = ["store_id"]
    }
  }

  restricted_use = [for sid, context in local.contexts : {
    Sid    = sid
    Effect = "Allow"
    Action = context.actions
    Condition = {
      # A key that is missing from the request matches no StringEquals, so a request with no context or another purpose is denied. No set
      # operator here: on a key with one value ForAllValues would let such requests through, and AWS KMS refuses the policy.
      StringEquals = {
        "kms:EncryptionContext:purpose" = context.purposes
      }
      # Whatever their values, of one character at least: tenants come and go. As above, a missing name matches nothing.
      StringLike = {
        for name in context.names : "kms:EncryptionContext:${name}" => "?*"
      }
      # No names but these, in these very letters: in kms:EncryptionContext:… case does not count. Alone, ForAllValues would be true of a
      # request without a context; the two conditions above, which must hold as well, are not.
      "ForAllValues:StringEquals" = {
        "kms:EncryptionContextKeys" = concat(["purpose"], context.names)
      }
    }
  }]

  unrestricted_use = [{
    Sid    = "Use"
    Effect = "Allow"
    Action = ["kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt"]
  }]

  # A statement of its own: these take no encryption context, so a condition on one would deny them. The service looks at its key every
  # half a minute and at its start; the rotation is looked at by Validate alone.
  look = {
    Sid    = "Look"
    Effect = "Allow"
    Action = ["kms:DescribeKey", "kms:GetKeyRotationStatus"]
  }

  service_statements = concat(
    [local.look],
    [for statement in local.restricted_use : statement if var.restrict_encryption_context],
    [for statement in local.unrestricted_use : statement if !var.restrict_encryption_context],
  )

  # The default statement lets the account's IAM policies count, the role's among them. Without it they do not, and the key policy must
  # name the role. https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
  account_root = one([
    for at in range(length(data.aws_caller_identity.current)) :
    "arn:${data.aws_partition.current[at].partition}:iam::${data.aws_caller_identity.current[at].account_id}:root"
  ])
  key_users = concat(var.key_users, var.enable_default_policy ? [] : aws_iam_role.this[*].arn)

  # What manages the key and uses it not: with kms:CreateGrant, which the console gives to administrators, they could let anyone decrypt.
  administration = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ReplicateKey",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
    "kms:UpdatePrimaryRegion",
  ]

  managers = [
    {
      Sid        = "Account"
      Actions    = ["kms:*"]
      Principals = [for root in [local.account_root] : root if var.enable_default_policy]
    },
    {
      Sid        = "Owners"
      Actions    = ["kms:*"]
      Principals = var.key_owners
    },
    {
      Sid        = "Administrators"
      Actions    = local.administration
      Principals = var.key_administrators
    },
  ]

  # In a key policy the resource * is the key that has it.
  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for each in local.managers : {
        Sid       = each.Sid
        Effect    = "Allow"
        Principal = { AWS = each.Principals }
        Action    = each.Actions
        Resource  = "*"
      } if length(each.Principals) > 0],
      [for statement in local.service_statements : merge(statement, {
        Principal = { AWS = local.key_users }
        Resource  = "*"
      }) if length(local.key_users) > 0],
      flatten([for document in var.source_policy_documents : [jsondecode(document).Statement]]),
    )
  })

  role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in local.service_statements : merge(statement, {
      Resource = concat(aws_kms_key.this[*].arn, aws_kms_replica_key.this[*].arn)
    })]
  })
}
