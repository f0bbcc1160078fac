/**
 * One key at AWS KMS in one region, as a Provider. Answers are distrusted: they must come from this key and have the right lengths.
 * The SDK turns secrets into base64 strings for its JSON and back, which nobody can overwrite; the bytes that it hands over lie in a
 * shared buffer, so they are copied out and overwritten there.
 */
import type { KeyMetadata } from "@aws-sdk/client-kms";
import { canonicalPairs, type ProviderContext } from "../crypto/context.ts";
import { ciphertextRejected, invalidField, KmsError } from "../errors.ts";
import * as advice from "./aws-advice.ts";
import type { AwsClient } from "./aws-client.ts";
import { distrusted } from "./aws-errors.ts";
import { type AwsKey, isKey } from "./aws-key.ts";
import { maxWrappedPlaintextBytes, type Provider, type ProviderKeyState } from "./provider.ts";

const dataKeyBytes = 32;
/** What Decrypt takes: docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html */
const maxBlobBytes = 6144;

export function awsProvider(client: AwsClient, key: AwsKey, region: string): Provider {
  const arn = key.arnIn(region);

  async function metadata(signal: AbortSignal | undefined): Promise<KeyMetadata> {
    const described = await client.describeKey(arn, signal);
    if (described === undefined || !isKey(key, described.Arn)) throw distrusted("it describes another key");
    return described;
  }

  function stateOf(described: KeyMetadata): ProviderKeyState {
    return {
      state: isUsable(described) ? "enabled" : "disabled",
      detail: words(described),
      clockSkewMs: client.clockSkewMs(),
    };
  }

  /** The rotation and what to change about it. */
  async function rotation(described: KeyMetadata, signal: AbortSignal | undefined) {
    const { Origin, ValidTo } = described;
    if (Origin === "EXTERNAL") {
      const expires = `The key's imported material expires on ${ValidTo?.toISOString()}: import it again before.`;
      return { rotation: "off: its key material is imported", advice: ValidTo === undefined ? [] : [expires] };
    }
    if (Origin === "AWS_CLOUDHSM" || Origin === "EXTERNAL_KEY_STORE") {
      return { rotation: "off: its key material is in a custom key store", advice: [] };
    }
    try {
      const { KeyId, KeyRotationEnabled, RotationPeriodInDays = 365 } = await client.rotationStatus(arn, signal);
      // The key's ARN came late to this answer, and not every server that speaks for AWS gives it.
      if ((KeyId !== undefined && !isKey(key, KeyId)) || KeyRotationEnabled === undefined) {
        throw distrusted("it is not the rotation of this key");
      }
      if (KeyRotationEnabled) return { rotation: `every ${RotationPeriodInDays} days`, advice: [] };
      return { rotation: "off", advice: isUsable(described) ? [advice.enableRotation(primary(described))] : [] };
    } catch (error) {
      if (!(error instanceof KmsError) || error.code !== "PROVIDER_DENIED") throw error;
      return { rotation: undefined, advice: error.advice === undefined ? [] : [error.advice] };
    }
  }

  /** Rotation belongs to the primary of a multi-Region key. */
  function primary({ MultiRegionConfiguration }: KeyMetadata) {
    const { Arn = arn, Region = region } = MultiRegionConfiguration?.PrimaryKey ?? {};
    return { key: Arn, region: Region };
  }

  return {
    name: "aws",
    keyId: key.keyId,
    region,

    async generateDataKey(context, signal) {
      const input = { KeyId: arn, KeySpec: "AES_256", EncryptionContext: checked(context) } as const;
      const { Plaintext, CiphertextBlob, KeyId } = await client.generateDataKey(input, signal);
      const plaintext = takenOut(Plaintext);
      try {
        if (!isKey(key, KeyId)) throw distrusted("it comes from another key");
        if (plaintext?.length !== dataKeyBytes) throw distrusted(`a data key of ${plaintext?.length ?? "no"} bytes`);
        return { plaintext, wrapped: blobIn(CiphertextBlob) };
      } catch (error) {
        plaintext?.fill(0);
        throw error;
      }
    },

    async encrypt(plaintext, context, signal) {
      if (plaintext.length < 1 || plaintext.length > maxWrappedPlaintextBytes) {
        throw invalidField("plaintext", `must be 1 to ${maxWrappedPlaintextBytes} bytes, not ${plaintext.length}`);
      }
      const input = { KeyId: arn, Plaintext: plaintext, EncryptionContext: checked(context) };
      const { CiphertextBlob, KeyId } = await client.encrypt(input, signal);
      if (!isKey(key, KeyId)) throw distrusted("it comes from another key");
      return blobIn(CiphertextBlob);
    },

    async decrypt(wrapped, context, signal) {
      if (wrapped.length < 1 || wrapped.length > maxBlobBytes) throw ciphertextRejected();
      const input = { KeyId: arn, CiphertextBlob: wrapped, EncryptionContext: checked(context) };
      const { Plaintext, KeyId } = await client.decrypt(input, signal);
      const plaintext = takenOut(Plaintext);
      const isOfKey = isKey(key, KeyId);
      if (isOfKey && plaintext && plaintext.length >= 1 && plaintext.length <= maxWrappedPlaintextBytes)
        return plaintext;
      plaintext?.fill(0);
      throw distrusted(isOfKey ? `a plaintext of ${plaintext?.length ?? "no"} bytes` : "it comes from another key");
    },

    async describe(signal) {
      return stateOf(await metadata(signal));
    },

    async inspect(signal) {
      const described = await metadata(signal);
      const { rotation: rotates, advice: onRotation } = await rotation(described, signal);
      return {
        ...stateOf(described),
        rotation: rotates,
        advice: [...onState(described, { key: arn, region }), ...onRotation],
      };
    },

    async close() {
      client.close();
    },
  };
}

/** Updating is a primary key on its way to another region: docs.aws.amazon.com/kms/latest/APIReference/API_UpdatePrimaryRegion.html */
function isUsable({ KeyState }: KeyMetadata): boolean {
  return KeyState === "Enabled" || KeyState === "Updating";
}

function words({ KeyState, DeletionDate }: KeyMetadata): string {
  const state = KeyState ?? "no state";
  return DeletionDate === undefined ? state : `${state}, to be deleted on ${DeletionDate.toISOString()}`;
}

function onState(described: KeyMetadata, key: { key: string; region: string }): string[] {
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

/** As every provider takes it: within limits, and no text that UTF-8 cannot write, as such contexts would look alike at AWS. */
function checked(context: ProviderContext): Record<string, string> {
  canonicalPairs(new Map(Object.entries(context)));
  return context;
}

/** Bytes of their own; undefined for what are none. */
function takenOut(answered: Uint8Array | undefined): Uint8Array | undefined {
  if (!(answered instanceof Uint8Array)) return undefined;
  const own = Uint8Array.from(answered);
  answered.fill(0);
  return own;
}

function blobIn(answered: Uint8Array | undefined): Uint8Array {
  if (!(answered instanceof Uint8Array) || answered.length < 1 || answered.length > maxBlobBytes) {
    throw distrusted("its wrapped key is missing or too long");
  }
  return Uint8Array.from(answered);
}
