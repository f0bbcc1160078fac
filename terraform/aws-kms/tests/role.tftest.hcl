# The role and who may assume it.

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

run "who_may_assume_it" {
  variables {
    trusted_principals            = ["arn:aws:iam::111122223333:role/runner"]
    trusted_services              = ["ecs-tasks.amazonaws.com"]
    role_name                     = "kms"
    role_permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
    oidc_providers = {
      blue = {
        provider_arn               = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF"
        namespace_service_accounts = ["fluo:fluo-kms", "fluo:fluo-kms-canary"]
      }
    }
    pod_identity_associations = {
      green = {
        cluster_name    = "green"
        namespace       = "fluo"
        service_account = "fluo-kms"
      }
    }
  }

  assert {
    condition = jsondecode(aws_iam_role.this[0].assume_role_policy).Statement == [
      {
        Sid       = "Principals"
        Effect    = "Allow"
        Principal = { AWS = ["arn:aws:iam::111122223333:role/runner"] }
        Action    = ["sts:AssumeRole"]
      },
      {
        Sid       = "Services"
        Effect    = "Allow"
        Principal = { Service = ["ecs-tasks.amazonaws.com"] }
        Action    = ["sts:AssumeRole"]
      },
      {
        Effect    = "Allow"
        Principal = { Federated = ["arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF"] }
        Action    = ["sts:AssumeRoleWithWebIdentity"]
        Condition = {
          StringEquals = {
            "oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF:sub" = ["system:serviceaccount:fluo:fluo-kms", "system:serviceaccount:fluo:fluo-kms-canary"]
            "oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF:aud" = ["sts.amazonaws.com"]
          }
        }
      },
      {
        Effect    = "Allow"
        Principal = { Service = ["pods.eks.amazonaws.com"] }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = {
          StringEquals = {
            "aws:RequestTag/eks-cluster-name"           = ["green"]
            "aws:RequestTag/kubernetes-namespace"       = ["fluo"]
            "aws:RequestTag/kubernetes-service-account" = ["fluo-kms"]
          }
        }
      },
    ]
    error_message = "The role must trust these and nobody else."
  }
  assert {
    condition     = aws_iam_role.this[0].name == "kms" && aws_iam_role.this[0].permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"
    error_message = "The role must have its name and its boundary."
  }
  assert {
    condition = alltrue([for each in aws_eks_pod_identity_association.this :
      [each.cluster_name, each.namespace, each.service_account, each.role_arn] == ["green", "fluo", "fluo-kms", output.role_arn]
    ]) && length(aws_eks_pod_identity_association.this) == 1
    error_message = "The service account must be associated with the role."
  }
}

run "a_trust_policy_of_the_operator" {
  variables {
    trusted_services   = ["ecs-tasks.amazonaws.com"]
    assume_role_policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  }

  assert {
    condition     = aws_iam_role.this[0].assume_role_policy == "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    error_message = "The operator's own trust policy must be taken as it is."
  }
}

run "no_role" {
  variables {
    create_role           = false
    enable_default_policy = false
    key_owners            = ["arn:aws:iam::111122223333:role/owner"]
    key_users             = ["arn:aws:iam::111122223333:role/service"]
  }

  assert {
    condition     = length(aws_iam_role.this) + length(aws_iam_role_policy.this) == 0 && output.role_arn == null && output.role_policy == null
    error_message = "There must be no role."
  }
  assert {
    condition     = alltrue([for statement in slice(jsondecode(output.key_policy).Statement, 1, 4) : statement.Principal.AWS == ["arn:aws:iam::111122223333:role/service"]])
    error_message = "The key policy must name the service's own role."
  }
}

run "refuses_a_role_that_nobody_could_assume" {
  command         = plan
  expect_failures = [aws_iam_role.this]
}

run "refuses_a_service_account_by_pattern" {
  command = plan
  variables {
    oidc_providers = {
      blue = {
        provider_arn               = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF"
        namespace_service_accounts = ["fluo:*"]
      }
    }
  }
  expect_failures = [var.oidc_providers]
}

run "refuses_a_provider_that_is_none" {
  command = plan
  variables {
    oidc_providers = {
      blue = {
        provider_arn               = "arn:aws:iam::111122223333:role/fluo-kms"
        namespace_service_accounts = ["fluo:fluo-kms"]
      }
    }
  }
  expect_failures = [var.oidc_providers]
}
