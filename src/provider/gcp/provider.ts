/**
 * One key at Cloud KMS, as a Provider. A data key is made here and wrapped by Encrypt, as Cloud KMS makes none. Wrapped
 * form: wrapped.ts.
 */
import type { ProviderContext } from "../../crypto/encryption-context.ts";
import { ciphertextRejected } from "../../errors.ts";
import { refuseAborted } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import { distrusted } from "../distrust.ts";
import type { Provider } from "../provider.ts";
import { checkPlaintext, freshDataKey } from "../secrets.ts";
import type { GcpCalls, KeyReading } from "./client.ts";
import type { GcpKey } from "./key.ts";
import { reportOf, stateOf } from "./report.ts";
import { unwrapped, withCiphertextChanged, wrapped } from "./wrapped.ts";

export interface OpenedKey {
  key: GcpKey;
  keyId: string;
  calls: GcpCalls;
  credential: NonNullable<Provider["credential"]>;
  time: Time;
  close(): Promise<void>;
}

export function gcpProvider({ key, keyId, calls, credential, time, close }: OpenedKey): Provider {
  async function wrap(plaintext: Uint8Array, context: ProviderContext, signal?: AbortSignal): Promise<Uint8Array> {
    const ciphertext = await calls.encrypt(plaintext, context, signal);
    const out = wrapped(ciphertext);
    if (out === undefined) throw distrusted(`a ciphertext of ${ciphertext.length} bytes`);
    return out;
  }

  async function read(signal: AbortSignal | undefined): Promise<KeyReading> {
    refuseAborted(signal);
    return calls.read(signal);
  }

  return {
    name: "gcp",
    keyId,

    async generateDataKey(context, signal) {
      refuseAborted(signal);
      return freshDataKey((plaintext) => wrap(plaintext, context, signal));
    },

    async encrypt(plaintext, context, signal) {
      refuseAborted(signal);
      checkPlaintext(plaintext);
      return wrap(plaintext, context, signal);
    },

    async decrypt(bytes, context, signal) {
      refuseAborted(signal);
      const ciphertext = unwrapped(bytes);
      if (ciphertext === undefined) throw ciphertextRejected();
      return calls.decrypt(ciphertext, context, signal);
    },

    tampered: withCiphertextChanged,

    async describe(signal) {
      const { key: seen, clockSkewMs } = await read(signal);
      return stateOf(seen, clockSkewMs);
    },

    async inspect(signal) {
      const { key: seen, clockSkewMs } = await read(signal);
      return reportOf(key, seen, clockSkewMs, time.now());
    },

    credential,
    close,
  };
}
