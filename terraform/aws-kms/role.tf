# The role that the service runs as, and who may assume it.

locals {
  trust = concat(
    [for arns in [var.trusted_principals] : {
      Sid       = "Principals"
      Effect    = "Allow"
      Principal = { AWS = arns }
      Action    = ["sts:AssumeRole"]
    } if length(arns) > 0],
    [for names in [var.trusted_services] : {
      Sid       = "Services"
      Effect    = "Allow"
      Principal = { Service = names }
      Action    = ["sts:AssumeRole"]
    } if length(names) > 0],
    # https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html
    [for each in values(var.oidc_providers) : {
      Effect    = "Allow"
      Principal = { Federated = [each.provider_arn] }
      Action    = ["sts:AssumeRoleWithWebIdentity"]
      Condition = {
        StringEquals = {
          "${split(":oidc-provider/", each.provider_arn)[1]}:sub" = [
            for name in each.namespace_service_accounts : "system:serviceaccount:${name}"
          ]
          "${split(":oidc-provider/", each.provider_arn)[1]}:aud" = ["sts.amazonaws.com"]
        }
      }
    }],
    # Without the conditions any Pod Identity association of the account would do: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
    [for each in values(var.pod_identity_associations) : {
      Effect    = "Allow"
      Principal = { Service = ["pods.eks.amazonaws.com"] }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:RequestTag/eks-cluster-name"           = [each.cluster_name]
          "aws:RequestTag/kubernetes-namespace"       = [each.namespace]
          "aws:RequestTag/kubernetes-service-account" = [each.service_account]
        }
      }
    }],
  )

  trust_policy = var.assume_role_policy != null ? var.assume_role_policy : jsonencode({
    Version   = "2012-10-17"
    Statement = local.trust
  })
}

resource "aws_iam_role" "this" {
  count = local.has_role ? 1 : 0

  name                 = var.role_name
  description          = "fluo-kms: uses its master key"
  assume_role_policy   = local.trust_policy
  permissions_boundary = var.role_permissions_boundary_arn
  tags                 = var.tags

  lifecycle {
    precondition {
      condition     = var.assume_role_policy != null || length(local.trust) > 0
      error_message = "Nobody could assume the role: name trusted_principals, trusted_services, oidc_providers, pod_identity_associations or assume_role_policy."
    }
  }
}

resource "aws_iam_role_policy" "this" {
  count = local.has_role ? 1 : 0

  name   = "master-key"
  role   = aws_iam_role.this[0].name
  policy = local.role_policy
}

resource "aws_eks_pod_identity_association" "this" {
  for_each = local.has_role ? var.pod_identity_associations : {}

  cluster_name    = each.value.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.this[0].arn
  tags            = var.tags
}
