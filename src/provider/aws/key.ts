/**
 * Which key it is. The replicas of a multi-Region key have one id and one material, so that each opens what another wrapped: they are one
 * key here, named by the ARN with `*` for its region. docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
 */
import type { KeyMetadata } from "@aws-sdk/client-kms";
import { invalidField, KmsError } from "../../errors.ts";

export interface AwsKey {
  /** As key records name it: the same for every replica. */
  keyId: string;
  isMultiRegion: boolean;
  /** The key in this region; a key of one region is in no other. */
  arnIn(region: string): string;
}

interface KeyArn {
  partition: string;
  region: string;
  account: string;
  id: string;
}

const keyArn = /^arn:(?<partition>[a-z0-9-]+):kms:(?<region>[a-z0-9-]+):(?<account>\d{12}):key\/(?<id>[A-Za-z0-9-]+)$/;
const anyArn = /^arn:[a-z0-9-]+:kms:(?<region>[a-z0-9-]+):\d{12}:(key|alias)\/./;
const multiRegionId = /^mrk-/;

/** Throws INVALID_ARGUMENT for a key of another kind, PROVIDER_UNAVAILABLE for an answer that describes none. */
export function describedKey({ Arn, KeyUsage, KeySpec, MultiRegion }: KeyMetadata): AwsKey {
  const arn = parseKeyArn(Arn);
  if (arn === undefined) throw new KmsError("PROVIDER_UNAVAILABLE", "the provider described no key");
  if (KeyUsage !== "ENCRYPT_DECRYPT" || KeySpec !== "SYMMETRIC_DEFAULT") {
    throw invalidField(
      "aws.kms.master-key-id",
      `must be a key with usage ENCRYPT_DECRYPT and spec SYMMETRIC_DEFAULT; ${Arn} is ${KeyUsage}, ${KeySpec}`,
    );
  }
  const isMultiRegion = MultiRegion === true || multiRegionId.test(arn.id);
  const arnIn = (region: string) => formatArn({ ...arn, region });
  return isMultiRegion
    ? { keyId: arnIn("*"), isMultiRegion, arnIn }
    : { keyId: formatArn(arn), isMultiRegion, arnIn: () => formatArn(arn) };
}

/** Whether an answer came from this key, in whichever region. */
export function isKey({ keyId, isMultiRegion }: AwsKey, answered: string | undefined): boolean {
  const arn = parseKeyArn(answered);
  if (arn === undefined) return false;
  return formatArn(isMultiRegion ? { ...arn, region: "*" } : arn) === keyId;
}

/** The key id in a setting; undefined for an alias, which says nothing of its key. */
export function idIn(masterKeyId: string): string | undefined {
  if (masterKeyId.startsWith("alias/") || /:alias\//.test(masterKeyId)) return undefined;
  return parseKeyArn(masterKeyId)?.id ?? masterKeyId;
}

/** The region that an ARN names, of a key or an alias; undefined for what is no ARN. */
export function regionIn(masterKeyId: string): string | undefined {
  return anyArn.exec(masterKeyId)?.groups?.region;
}

function parseKeyArn(text: string | undefined): KeyArn | undefined {
  return keyArn.exec(text ?? "")?.groups as KeyArn | undefined;
}

function formatArn({ partition, region, account, id }: KeyArn): string {
  return `arn:${partition}:kms:${region}:${account}:key/${id}`;
}
