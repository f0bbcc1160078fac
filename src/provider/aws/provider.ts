/**
 * One key at AWS KMS in one region, as a Provider. Answers are distrusted: they must come from this key and have the right lengths.
 * The SDK turns secrets into base64 strings for its JSON and back, which nobody can overwrite; the bytes that it hands over lie in a
 * shared buffer, so they are copied out and overwritten there.
 */
import type { KeyMetadata } from "@aws-sdk/client-kms";
import { canonicalPairs, type ProviderContext } from "../../crypto/encryption-context.ts";
import { ciphertextRejected } from "../../errors.ts";
import { distrusted, ProviderLie } from "../distrust.ts";
import type { Provider } from "../provider.ts";
import { checkPlaintext, dataKeyBytes, isPlaintextLength, withLastBitFlipped } from "../secrets.ts";
import type { AwsClient } from "./client.ts";
import { type AwsKey, isKey } from "./key.ts";
import { isWhole, reportOf, stateOf } from "./report.ts";

/** What Decrypt takes: docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html */
const maxBlobBytes = 6144;

export function awsProvider(client: AwsClient, key: AwsKey, region: string): Provider {
  const arn = key.arnIn(region);

  async function metadata(signal: AbortSignal | undefined): Promise<KeyMetadata> {
    const described = await client.describeKey(arn, signal);
    if (described === undefined || !isKey(key, described.Arn)) throw distrusted("it describes another key");
    if (!isWhole(described)) throw distrusted("it tells no state of the key");
    return described;
  }

  /** Refuses an answer for another key as a lie. An answer that names no key was cut short on its way. */
  function refuseOther(answered: string | undefined): void {
    if (isKey(key, answered)) return;
    throw answered ? new ProviderLie("other-key") : distrusted("it does not name the key");
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
        refuseOther(KeyId);
        if (plaintext === undefined || plaintext.length === 0) throw distrusted("it holds no data key");
        if (plaintext.length !== dataKeyBytes) throw new ProviderLie("short-key");
        return { plaintext, wrapped: blobIn(CiphertextBlob) };
      } catch (error) {
        plaintext?.fill(0);
        throw error;
      }
    },

    async encrypt(plaintext, context, signal) {
      checkPlaintext(plaintext);
      const input = { KeyId: arn, Plaintext: plaintext, EncryptionContext: checked(context) };
      const { CiphertextBlob, KeyId } = await client.encrypt(input, signal);
      refuseOther(KeyId);
      return blobIn(CiphertextBlob);
    },

    async decrypt(wrapped, context, signal) {
      if (wrapped.length < 1 || wrapped.length > maxBlobBytes) throw ciphertextRejected();
      const input = { KeyId: arn, CiphertextBlob: wrapped, EncryptionContext: checked(context) };
      const { Plaintext, KeyId } = await client.decrypt(input, signal);
      const plaintext = takenOut(Plaintext);
      try {
        refuseOther(KeyId);
        if (plaintext && isPlaintextLength(plaintext.length)) return plaintext;
        throw distrusted(`a plaintext of ${plaintext?.length ?? "no"} bytes`);
      } catch (error) {
        plaintext?.fill(0);
        throw error;
      }
    },

    tampered: withLastBitFlipped,

    async describe(signal) {
      return stateOf(await metadata(signal), client.clockSkewMs());
    },

    async inspect(signal) {
      const described = await metadata(signal);
      return reportOf(described, client.clockSkewMs(), { key: arn, region }, (of) => client.rotationStatus(of, signal));
    },

    credential: client.credential,

    async close() {
      client.close();
    },
  };
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
