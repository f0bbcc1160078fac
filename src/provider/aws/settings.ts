/** Settings of the provider for AWS KMS. */

export interface AwsRegion {
  /** `undefined`: by the SDK's own rules (AWS_REGION, the shared config file). */
  region: string | undefined;
  /** Key id, key ARN, alias name or alias ARN. */
  masterKeyId: string;
  /** URL instead of AWS's own. */
  endpoint: string | undefined;
}

export interface AwsSettings {
  name: "aws";
  /**
   * In order of preference: `aws.kms.region`/`aws.kms.master-key-id`/`aws.kms.endpoint` first, then those of
   * `aws.kms.failover`.
   */
  places: readonly [AwsRegion, ...AwsRegion[]];
  /**
   * Named profile of the shared configuration files, `aws.kms.profile`; the SDK's default credential chain unless
   * given.
   */
  profile: string | undefined;
}
