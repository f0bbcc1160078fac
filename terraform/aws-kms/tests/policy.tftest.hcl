# What the role's policy and the key policy allow, statement by statement.

mock_provider "aws" {
  mock_resource "aws_kms_key" {
    defaults = {
      arn    = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
      key_id = "mrk-1234abcd12ab34cd56ef1234567890ab"
    }
  }
  mock_resource "aws_kms_alias" {
    defaults = {
      arn = "arn:aws:kms:eu-central-1:111122223333:alias/fluo-kms"
    }
  }
  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::111122223333:role/fluo-kms"
    }
  }
  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "111122223333"
    }
  }
  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }
}

mock_provider "aws" {
  alias = "replica"
}

variables {
  trusted_services = ["ecs-tasks.amazonaws.com"]
}

run "the_role" {
  assert {
    condition     = [for statement in jsondecode(output.role_policy).Statement : statement.Sid] == ["Look", "UseForStoreKey", "UseForTenantKeys"]
    error_message = "There must be these statements and no other."
  }
  assert {
    condition = jsondecode(output.role_policy).Statement[0] == {
      Sid      = "Look"
      Effect   = "Allow"
      Action   = ["kms:DescribeKey", "kms:GetKeyRotationStatus"]
      Resource = [output.key_arn]
    }
    error_message = "What takes no encryption context must have no condition."
  }
  assert {
    condition = jsondecode(output.role_policy).Statement[1] == {
      Sid      = "UseForStoreKey"
      Effect   = "Allow"
      Action   = ["kms:Encrypt", "kms:Decrypt"]
      Resource = [output.key_arn]
      Condition = {
        StringEquals                = { "kms:EncryptionContext:purpose" = ["store"] }
        StringLike                  = { "kms:EncryptionContext:store_id" = "?*" }
        "ForAllValues:StringEquals" = { "kms:EncryptionContextKeys" = ["purpose", "store_id"] }
      }
    }
    error_message = "The store's key must be under purpose and store_id, and nothing else."
  }
  assert {
    condition = jsondecode(output.role_policy).Statement[2] == {
      Sid      = "UseForTenantKeys"
      Effect   = "Allow"
      Action   = ["kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt"]
      Resource = [output.key_arn]
      Condition = {
        StringEquals = { "kms:EncryptionContext:purpose" = ["data", "signing"] }
        StringLike = {
          "kms:EncryptionContext:key_id"    = "?*"
          "kms:EncryptionContext:tenant_id" = "?*"
        }
        "ForAllValues:StringEquals" = { "kms:EncryptionContextKeys" = ["purpose", "tenant_id", "key_id"] }
      }
    }
    error_message = "Tenants' keys must be under tenant_id, purpose and key_id, and nothing else."
  }
  assert {
    condition     = aws_iam_role_policy.this[0].role == "fluo-kms" && aws_iam_role_policy.this[0].policy == output.role_policy
    error_message = "The policy must be the role's."
  }
}

run "the_role_under_any_context" {
  variables {
    restrict_encryption_context = false
  }

  assert {
    condition = jsondecode(output.role_policy).Statement == [
      {
        Sid      = "Look"
        Effect   = "Allow"
        Action   = ["kms:DescribeKey", "kms:GetKeyRotationStatus"]
        Resource = [output.key_arn]
      },
      {
        Sid      = "Use"
        Effect   = "Allow"
        Action   = ["kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt"]
        Resource = [output.key_arn]
      },
    ]
    error_message = "Without the restriction there must be these statements."
  }
}

run "the_key_policy_of_an_account" {
  assert {
    condition = jsondecode(output.key_policy).Statement == [
      {
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = ["arn:aws:iam::111122223333:root"] }
        Action    = ["kms:*"]
        Resource  = "*"
      },
    ]
    error_message = "The key policy must let the account's IAM policies count, and nothing else."
  }
}

run "the_key_policy_that_names_everybody" {
  variables {
    enable_default_policy = false
    key_owners            = ["arn:aws:iam::111122223333:role/owner"]
    key_administrators    = ["arn:aws:iam::111122223333:role/administrator"]
    key_users             = ["arn:aws:iam::444455556666:role/fluo-kms"]
  }

  assert {
    condition     = [for statement in jsondecode(output.key_policy).Statement : statement.Sid] == ["Owners", "Administrators", "Look", "UseForStoreKey", "UseForTenantKeys"]
    error_message = "There must be these statements and no other: above all none for the account."
  }
  assert {
    condition     = jsondecode(output.key_policy).Statement[0].Principal.AWS == ["arn:aws:iam::111122223333:role/owner"] && jsondecode(output.key_policy).Statement[0].Action == ["kms:*"]
    error_message = "Owners must be allowed everything."
  }
  assert {
    condition     = jsondecode(output.key_policy).Statement[1].Principal.AWS == ["arn:aws:iam::111122223333:role/administrator"]
    error_message = "Administrators must be named."
  }
  assert {
    condition = length(setintersection(jsondecode(output.key_policy).Statement[1].Action, [
      "kms:*", "kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo",
    ])) == 0 && alltrue([for action in jsondecode(output.key_policy).Statement[1].Action : !strcontains(action, "*")])
    error_message = "Administrators must not be allowed to encrypt or decrypt, nor to grant it."
  }
  assert {
    condition = length(setsubtract(["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:EnableKeyRotation", "kms:ReplicateKey"],
    jsondecode(output.key_policy).Statement[1].Action)) == 0
    error_message = "Administrators must be able to manage the key."
  }
  assert {
    condition = [for statement in slice(jsondecode(output.key_policy).Statement, 2, 5) : { for name, value in statement : name => value if name != "Principal" && name != "Resource" }] == [
      for statement in jsondecode(output.role_policy).Statement : { for name, value in statement : name => value if name != "Resource" }
    ]
    error_message = "Users must be allowed the very same as the role, under the same conditions."
  }
  assert {
    condition = alltrue([for statement in slice(jsondecode(output.key_policy).Statement, 2, 5) :
      statement.Principal.AWS == ["arn:aws:iam::444455556666:role/fluo-kms", "arn:aws:iam::111122223333:role/fluo-kms"] && statement.Resource == "*"
    ])
    error_message = "The key policy must name the role, as IAM policies do not count."
  }
}

run "no_via_service" {
  variables {
    key_users = ["arn:aws:iam::444455556666:role/fluo-kms"]
  }

  assert {
    condition     = !strcontains(lower(output.role_policy), "viaservice") && !strcontains(lower(output.key_policy), "viaservice")
    error_message = "The service calls AWS KMS itself: a condition on kms:ViaService would deny it everything."
  }
  assert {
    condition     = length(jsondecode(output.key_policy).Statement) == 4 && alltrue([for statement in slice(jsondecode(output.key_policy).Statement, 1, 4) : statement.Principal.AWS == ["arn:aws:iam::444455556666:role/fluo-kms"]])
    error_message = "Where IAM policies count, the key policy must name users and not the role."
  }
}

run "statements_of_the_operator" {
  variables {
    source_policy_documents = [
      "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"One\",\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"kms:PutKeyPolicy\",\"Resource\":\"*\"}]}",
      "{\"Version\":\"2012-10-17\",\"Statement\":{\"Sid\":\"Two\",\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"kms:CreateGrant\",\"Resource\":\"*\"}}",
    ]
  }

  assert {
    condition     = [for statement in jsondecode(output.key_policy).Statement : statement.Sid] == ["Account", "One", "Two"]
    error_message = "The operator's statements must be in the key policy, be they a list or one."
  }
}

run "refuses_what_is_no_policy" {
  command = plan
  variables {
    source_policy_documents = ["kms:*"]
  }
  expect_failures = [var.source_policy_documents]
}
