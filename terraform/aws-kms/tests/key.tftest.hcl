# The key, its names and what is asked of its inputs. Nothing is made: the provider is mocked.

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
  mock_resource "aws_kms_replica_key" {
    defaults = {
      arn    = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
      key_id = "mrk-1234abcd12ab34cd56ef1234567890ab"
    }
  }
  mock_resource "aws_kms_alias" {
    defaults = {
      arn = "arn:aws:kms:eu-west-1:111122223333:alias/fluo-kms"
    }
  }
}

variables {
  trusted_services = ["ecs-tasks.amazonaws.com"]
}

run "a_key_of_one_region" {
  assert {
    condition     = aws_kms_key.this[0].key_usage == "ENCRYPT_DECRYPT" && aws_kms_key.this[0].customer_master_key_spec == "SYMMETRIC_DEFAULT"
    error_message = "The key must be symmetric, for encryption and decryption."
  }
  assert {
    condition     = aws_kms_key.this[0].enable_key_rotation == true && aws_kms_key.this[0].rotation_period_in_days == 365
    error_message = "The key must rotate, once a year."
  }
  assert {
    condition     = aws_kms_key.this[0].deletion_window_in_days == 30
    error_message = "A destroyed key must be to be had back for 30 days."
  }
  assert {
    condition     = aws_kms_key.this[0].multi_region == false && length(aws_kms_replica_key.this) == 0 && length(aws_kms_alias.replica) == 0
    error_message = "There must be nothing in another Region unless it is asked for."
  }
  assert {
    condition     = [for alias in aws_kms_alias.this : [alias.name, alias.target_key_id]] == [["alias/fluo-kms", aws_kms_key.this[0].key_id]]
    error_message = "alias/fluo-kms must name the key."
  }
  assert {
    condition     = output.key_arn == "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab" && output.key_id == "mrk-1234abcd12ab34cd56ef1234567890ab"
    error_message = "The outputs must name the key."
  }
  assert {
    condition     = output.alias_arn == "arn:aws:kms:eu-central-1:111122223333:alias/fluo-kms" && output.role_arn == "arn:aws:iam::111122223333:role/fluo-kms"
    error_message = "The outputs must name the alias and the role."
  }
  assert {
    condition     = output.replica_key_arn == null && output.replica_alias_arn == null
    error_message = "The outputs must name no replica."
  }
  assert {
    condition     = output.application_properties == <<-EOT
      fluo.kms.provider=aws
      aws.kms.master-key-id=arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab
      aws.kms.region=eu-central-1
    EOT
    error_message = "application_properties must name the key and its Region, and no failover."
  }
}

run "a_key_and_its_replica" {
  variables {
    multi_region            = true
    create_replica          = true
    deletion_window_in_days = 7
    rotation_period_in_days = 90
    aliases                 = ["fluo-kms", "team/audit"]
    tags                    = { Service = "fluo-kms" }
  }

  assert {
    condition     = aws_kms_key.this[0].multi_region && aws_kms_replica_key.this[0].primary_key_arn == aws_kms_key.this[0].arn
    error_message = "The replica must be one of the key."
  }
  assert {
    condition     = aws_kms_key.this[0].enable_key_rotation && aws_kms_key.this[0].rotation_period_in_days == 90
    error_message = "The key must rotate as often as asked for."
  }
  assert {
    condition     = aws_kms_key.this[0].deletion_window_in_days == 7 && aws_kms_replica_key.this[0].deletion_window_in_days == 7
    error_message = "The deletion window must be the replica's too."
  }
  assert {
    condition     = aws_kms_key.this[0].policy == aws_kms_replica_key.this[0].policy
    error_message = "The key policy must be the replica's too."
  }
  assert {
    condition     = aws_kms_key.this[0].tags == aws_kms_replica_key.this[0].tags && aws_kms_key.this[0].tags.Service == "fluo-kms" && aws_iam_role.this[0].tags.Service == "fluo-kms"
    error_message = "All must be tagged."
  }
  assert {
    condition     = [for alias in aws_kms_alias.this : alias.name] == ["alias/fluo-kms", "alias/team/audit"] && [for alias in aws_kms_alias.replica : alias.name] == ["alias/fluo-kms", "alias/team/audit"]
    error_message = "Both must have all names."
  }
  assert {
    condition     = output.replica_key_arn == "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab" && output.replica_alias_arn == "arn:aws:kms:eu-west-1:111122223333:alias/fluo-kms"
    error_message = "The outputs must name the replica."
  }
  assert {
    condition     = output.application_properties == <<-EOT
      fluo.kms.provider=aws
      aws.kms.master-key-id=arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab
      aws.kms.region=eu-central-1
      aws.kms.failover=eu-west-1=arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab
    EOT
    error_message = "application_properties must name the replica as failover."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(output.role_policy).Statement : statement.Resource == [output.key_arn, output.replica_key_arn]
    ])
    error_message = "The role must be allowed the key and the replica, and nothing else."
  }
}

run "a_multi_region_key_without_a_replica" {
  variables {
    multi_region = true
  }

  assert {
    condition     = aws_kms_key.this[0].multi_region && length(aws_kms_replica_key.this) == 0
    error_message = "A replica must be asked for."
  }
  assert {
    condition     = !strcontains(output.application_properties, "failover")
    error_message = "application_properties must name no failover."
  }
}

run "no_rotation" {
  command = plan
  variables {
    enable_key_rotation = false
  }

  assert {
    condition     = aws_kms_key.this[0].enable_key_rotation == false
    error_message = "Rotation must be off."
  }
}

run "nothing" {
  variables {
    create         = false
    multi_region   = true
    create_replica = true
  }

  assert {
    condition     = length(aws_kms_key.this) + length(aws_kms_replica_key.this) + length(aws_kms_alias.this) + length(aws_kms_alias.replica) + length(aws_iam_role.this) + length(aws_iam_role_policy.this) == 0
    error_message = "Nothing must be made."
  }
  assert {
    condition     = output.key_arn == null && output.role_arn == null && output.application_properties == null
    error_message = "There is nothing to put out."
  }
}

run "refuses_a_window_too_short" {
  command = plan
  variables {
    deletion_window_in_days = 6
  }
  expect_failures = [var.deletion_window_in_days]
}

run "refuses_a_window_too_long" {
  command = plan
  variables {
    deletion_window_in_days = 31
  }
  expect_failures = [var.deletion_window_in_days]
}

run "refuses_a_rotation_too_often" {
  command = plan
  variables {
    rotation_period_in_days = 89
  }
  expect_failures = [var.rotation_period_in_days]
}

run "refuses_a_replica_of_a_key_of_one_region" {
  command = plan
  variables {
    create_replica = true
  }
  expect_failures = [var.create_replica]
}

run "refuses_an_alias_with_its_prefix" {
  command = plan
  variables {
    aliases = ["alias/fluo-kms"]
  }
  expect_failures = [var.aliases]
}

run "refuses_a_key_that_nobody_could_manage" {
  command = plan
  variables {
    enable_default_policy = false
  }
  expect_failures = [aws_kms_key.this]
}
