/**
 * The calls to a transit key. The context is `associated_data`: `context` would be ignored by a key that is not derived.
 * https://developer.hashicorp.com/vault/api-docs/secret/transit
 *
 * Plaintexts pass through JSON as base64. They are encoded and decoded as bytes, and those are overwritten; Node's copies are not ours.
 */
import { type ProviderContext, providerContextBytes } from "../../crypto/encryption-context.ts";
import type { Time } from "../../runtime/time.ts";
import { isPlaintextLength } from "../secrets.ts";
import { dataOf, takePlaintext, unreadable, type VaultData } from "./response.ts";
import { encodeBase64 } from "../../encoding/base64.ts";
import { isMissing, keyFailure } from "./errors.ts";
import { type VaultKey, vaultKey } from "./key.ts";
import { pathsOf, type VaultKeyName } from "./paths.ts";
import type { VaultSession } from "./session.ts";
import { wrappedVersion } from "./wrapped.ts";

export interface KeyReading {
  /** Undefined where there is none. */
  key: VaultKey | undefined;
  clockSkewMs: number | undefined;
}

export interface Transit {
  read(signal?: AbortSignal): Promise<KeyReading>;
  encrypt(
    plaintext: Uint8Array,
    context: ProviderContext,
    signal?: AbortSignal,
  ): Promise<{ wrapped: Uint8Array; version: number }>;
  /** `wrapped` has the form of wrapped.ts. */
  decrypt(wrapped: Uint8Array, context: ProviderContext, signal?: AbortSignal): Promise<Uint8Array>;
  /** By path, what the token may do; undefined where its policy forbids to ask. */
  capabilities(signal?: AbortSignal): Promise<VaultData | undefined>;
}

export function transit(session: VaultSession, name: VaultKeyName, time: Time): Transit {
  const paths = pathsOf(name);

  async function post(path: string, body: () => Uint8Array, signal: AbortSignal | undefined) {
    return session.send(() => ({ method: "POST", path, body: body() }), signal);
  }

  return {
    async read(signal) {
      const answer = await session.send(() => ({ method: "GET", path: paths.keys }), signal);
      const clockSkewMs = answer.dateMs === undefined ? undefined : time.now().getTime() - answer.dateMs;
      if (isMissing(answer)) return { key: undefined, clockSkewMs };
      if (answer.status !== 200) throw keyFailure(name, answer);
      return { key: vaultKey(dataOf(answer)), clockSkewMs };
    },

    async encrypt(plaintext, context, signal) {
      const associatedData = encodeBase64(providerContextBytes(context));
      const body = () => secretJson("plaintext", encodeBase64(plaintext), associatedData);
      const answer = await post(paths.encrypt, body, signal);
      if (answer.status !== 200) throw keyFailure(name, answer);
      const data = dataOf(answer);
      const wrapped = Buffer.from(typeof data.ciphertext === "string" ? data.ciphertext : "");
      const version = wrappedVersion(wrapped);
      if (version === undefined || version !== data.key_version) throw unreadable("a ciphertext");
      return { wrapped, version };
    },

    async decrypt(wrapped, context, signal) {
      const associatedData = encodeBase64(providerContextBytes(context));
      const body = () => secretJson("ciphertext", Buffer.from(wrapped), associatedData);
      const answer = await post(paths.decrypt, body, signal);
      if (answer.status !== 200) throw keyFailure(name, answer);
      const plaintext = takePlaintext(answer);
      if (isPlaintextLength(plaintext.length)) return plaintext;
      plaintext.fill(0);
      throw unreadable("a plaintext");
    },

    async capabilities(signal) {
      const body = () => Buffer.from(JSON.stringify({ paths: Object.values(paths) }));
      const answer = await post("sys/capabilities-self", body, signal);
      if (answer.status === 403) return undefined;
      if (answer.status !== 200) throw keyFailure(name, answer);
      return dataOf(answer);
    },
  };
}

/** Values are ASCII that JSON takes as it is. `value` is overwritten. */
function secretJson(name: string, value: Uint8Array, associatedData: Uint8Array): Uint8Array {
  const json = Buffer.concat([
    Buffer.from(`{"${name}":"`),
    value,
    Buffer.from('","associated_data":"'),
    associatedData,
    Buffer.from('"}'),
  ]);
  value.fill(0);
  return json;
}
