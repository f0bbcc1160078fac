/** What AWS tells of a key, in the words of the provider contract, and what an operator should change about it. */
import type { GetKeyRotationStatusResponse, KeyMetadata } from "@aws-sdk/client-kms";
import { hasCode } from "../../errors.ts";
import * as advice from "./advice.ts";
import { distrusted } from "../distrust.ts";
import type { ProviderKeyReport, ProviderKeyState } from "../provider.ts";

interface KeyInRegion {
  /** Its ARN. */
  key: string;
  region: string;
}

/** Where the rotation is asked for, and by the ARN given. */
type RotationStatus = (key: string) => Promise<GetKeyRotationStatusResponse>;

/** A state in a word, and dates that are such. What lacks them is no answer, and above all no refusal. */
export function isWhole({ KeyState, DeletionDate, ValidTo }: KeyMetadata): boolean {
  const isWord = typeof KeyState === "string" && /^[A-Za-z]{1,64}$/.test(KeyState);
  return isWord && [DeletionDate, ValidTo].every((date) => date === undefined || !Number.isNaN(date.getTime()));
}

/** Of what is whole. */
export function stateOf(described: KeyMetadata, clockSkewMs: number | undefined): ProviderKeyState {
  const { KeyState, DeletionDate } = described;
  const detail = DeletionDate === undefined ? KeyState! : `${KeyState}, to be deleted on ${DeletionDate.toISOString()}`;
  return { state: isUsable(described) ? "enabled" : "disabled", detail, clockSkewMs };
}

export async function reportOf(
  described: KeyMetadata,
  clockSkewMs: number | undefined,
  key: KeyInRegion,
  rotationStatus: RotationStatus,
): Promise<ProviderKeyReport> {
  const { advice: onRotation, ...rotation } = await rotationOf(described, key, rotationStatus);
  return { ...stateOf(described, clockSkewMs), ...rotation, advice: [...onState(described, key), ...onRotation] };
}

/** Updating is a primary key on its way to another region: docs.aws.amazon.com/kms/latest/APIReference/API_UpdatePrimaryRegion.html */
function isUsable({ KeyState }: KeyMetadata): boolean {
  return KeyState === "Enabled" || KeyState === "Updating";
}

function onState(described: KeyMetadata, key: KeyInRegion): string[] {
  if (isUsable(described)) return [];
  switch (described.KeyState) {
    case "Disabled":
      return [advice.enable(key)];
    case "PendingDeletion":
    case "PendingReplicaDeletion":
      return [advice.cancelDeletion(key)];
    case "PendingImport":
      return [advice.importMaterial(key)];
    default:
      return [advice.look(key)];
  }
}

async function rotationOf(
  described: KeyMetadata,
  key: KeyInRegion,
  rotationStatus: RotationStatus,
): Promise<Pick<ProviderKeyReport, "rotation" | "rotationAdvice" | "advice">> {
  const { Origin, ValidTo } = described;
  if (Origin === "EXTERNAL") {
    return {
      rotation: "off: its key material is imported",
      advice: ValidTo === undefined ? [] : [advice.importInTime(key, ValidTo)],
    };
  }
  if (Origin === "AWS_CLOUDHSM" || Origin === "EXTERNAL_KEY_STORE") {
    return { rotation: "off: its key material is in a custom key store", advice: [] };
  }
  try {
    const { KeyId, KeyRotationEnabled, RotationPeriodInDays = 365 } = await rotationStatus(key.key);
    // The key's id, as AWS's page has it, or its ARN; it came late to this answer, and not every server that speaks for AWS gives it.
    const isOther = KeyId !== undefined && KeyId !== key.key && !key.key.endsWith(`/${KeyId}`);
    if (isOther || KeyRotationEnabled === undefined) {
      throw distrusted("it is not the rotation of this key");
    }
    if (KeyRotationEnabled) return { rotation: `every ${RotationPeriodInDays} days`, advice: [] };
    const rotationAdvice = isUsable(described) ? advice.enableRotation(primary(described, key)) : undefined;
    return { rotation: "off", rotationAdvice, advice: [] };
  } catch (error) {
    if (!hasCode(error, "PROVIDER_DENIED")) throw error;
    return { rotation: undefined, advice: error.advice === undefined ? [] : [error.advice] };
  }
}

/** Rotation belongs to the primary of a multi-Region key. */
function primary({ MultiRegionConfiguration }: KeyMetadata, { key, region }: KeyInRegion): KeyInRegion {
  const { Arn = key, Region = region } = MultiRegionConfiguration?.PrimaryKey ?? {};
  return { key: Arn, region: Region };
}
