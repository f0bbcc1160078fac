/** What an operator can do about what AWS KMS says, with the very command or policy statement. Never sent to a caller. */

/** A call at AWS KMS, as much as its errors need to know. */
export interface AwsCall {
  /** As in `kms:Decrypt`. */
  action: "DescribeKey" | "GetKeyRotationStatus" | "GenerateDataKey" | "Encrypt" | "Decrypt";
  /** The key's ARN, or what the configuration calls it. */
  key: string;
  region: string;
}

type Key = Pick<AwsCall, "key" | "region">;

/** A policy names keys by ARN: an alias or a bare id in it allows nothing. */
export function allow({ action, key, region }: AwsCall): string {
  const arn = /:key\//.test(key) ? key : `arn:aws:kms:${region}:ACCOUNT:key/KEY-ID`;
  const statement = JSON.stringify({ Effect: "Allow", Action: `kms:${action}`, Resource: arn });
  return `Add to the IAM policy of this service's role: ${statement}; the key policy must allow it too.`;
}

export function enable(key: Key): string {
  return `Enable the key: ${aws("enable-key", key)}`;
}

export function cancelDeletion(key: Key): string {
  return `Cancel the deletion before it is too late, then enable the key: ${aws("cancel-key-deletion", key)} && ${aws("enable-key", key)}`;
}

export function importMaterial(key: Key): string {
  return `The key's imported material has expired or was deleted; import the same again: ${importing(key)}`;
}

export function importInTime(key: Key, validTo: Date): string {
  return `The key's imported material expires on ${validTo.toISOString()}; import the same again before: ${importing(key)}`;
}

export function look(key: Key): string {
  return `See what the key is, and in what state: ${aws("describe-key", key)}`;
}

export function find({ key, region }: Key): string {
  return `Check aws.kms.master-key-id (${key}), that aws.kms.region (${region}) is the key's, and that the credentials are of the key's account, or the id is an ARN: aws kms list-aliases --region ${region}`;
}

export function enableRotation(key: Key): string {
  return `Automatic rotation is off; turn it on: ${aws("enable-key-rotation", key)}`;
}

export function giveCredentials(): string {
  return "The credentials are those of the AWS SDK's default chain: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile in aws.kms.profile or AWS_PROFILE, a web identity (EKS), a container's or an instance's role. See which are in use: aws sts get-caller-identity";
}

/** `code` is the system's, as ECONNREFUSED. */
export function reach(regions: readonly string[], code: string | undefined): string {
  const what = `AWS KMS of ${regions.join(", ")} gives no answer${code === undefined ? "" : ` (${code})`}`;
  return `${what}: see to the way there from this machine (name, network, VPC endpoint), and to aws.kms.endpoint where it is set.`;
}

export function setClock(): string {
  return "AWS refuses requests that are more than five minutes off: set this machine's clock, by NTP: timedatectl set-ntp true";
}

function importing(key: Key): string {
  const parameters = "--wrapping-algorithm RSAES_OAEP_SHA_256 --wrapping-key-spec RSA_4096";
  const files = "--encrypted-key-material fileb://wrapped.bin --import-token fileb://token.bin";
  const wrapping = "wrap the material under the PublicKey of the answer";
  return `${aws("get-parameters-for-import", key)} ${parameters}, ${wrapping}, then ${aws("import-key-material", key)} ${files} --expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE`;
}

function aws(command: string, { key, region }: Key): string {
  return `aws kms ${command} --key-id ${key} --region ${region}`;
}
