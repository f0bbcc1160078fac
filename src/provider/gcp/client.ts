/**
 * The calls to a key, each with a checksum of all that goes out and comes back.
 * https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys
 *
 * Plaintexts pass through JSON as base64. They are encoded and decoded as bytes, and those are overwritten; Node's copies are not ours.
 */
import { encodeBase64 } from "../../encoding/base64.ts";
import { type ProviderContext, providerContextBytes } from "../../crypto/encryption-context.ts";
import { crc32c } from "../../encoding/crc32c.ts";
import { distrusted, ProviderLie } from "../distrust.ts";
import { bytesIn, checkSum, dataOf, takePlaintext } from "./response.ts";
import { failure, type GcpCall, saysDeadToken } from "./errors.ts";
import type { HttpAnswer, HttpConnection, HttpRequest } from "../http.ts";
import { type GcpKey, isOtherKey, versionIn } from "./key.ts";
import { type Described, described } from "./report.ts";
import type { GcpTokens } from "./tokens.ts";
import { refuseAborted } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import { isPlaintextLength } from "../secrets.ts";

export interface KeyReading {
  key: Described;
  clockSkewMs: number | undefined;
}

export interface GcpCalls {
  read(signal?: AbortSignal): Promise<KeyReading>;
  /** The ciphertext of Cloud KMS. */
  encrypt(plaintext: Uint8Array, context: ProviderContext, signal?: AbortSignal): Promise<Uint8Array>;
  decrypt(ciphertext: Uint8Array, context: ProviderContext, signal?: AbortSignal): Promise<Uint8Array>;
}

export interface GcpCallParts {
  connection: HttpConnection;
  tokens: GcpTokens;
  key: GcpKey;
  time: Time;
}

export function gcpCalls({ connection, tokens, key, time }: GcpCallParts): GcpCalls {
  /** `request` makes the request anew each time that it is sent, as a body is overwritten. */
  async function send(
    request: () => Omit<HttpRequest, "headers">,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer> {
    refuseAborted(signal);
    const token = await tokens.get(signal);
    const answer = await connection.send({ ...request(), headers: token.headers }, signal);
    if (!saysDeadToken(answer, key)) return answer;
    tokens.drop(token);
    return connection.send({ ...request(), headers: (await tokens.get(signal)).headers }, signal);
  }

  async function post(operation: "encrypt" | "decrypt", body: () => Uint8Array, signal: AbortSignal | undefined) {
    const answer = await send(() => ({ method: "POST", path: `${key.name}:${operation}`, body: body() }), signal);
    return succeeded({ operation, key }, answer);
  }

  return {
    async read(signal) {
      const answer = await send(() => ({ method: "GET", path: key.name }), signal);
      const data = dataOf(succeeded({ operation: "get", key }, answer));
      const clockSkewMs = answer.dateMs === undefined ? undefined : time.now().getTime() - answer.dateMs;
      return { key: described(key, data), clockSkewMs };
    },

    async encrypt(plaintext, context, signal) {
      const aad = providerContextBytes(context);
      const data = dataOf(await post("encrypt", () => secretJson("plaintext", plaintext, aad), signal));
      if (isOtherKey(key, data.name)) throw new ProviderLie("other-key");
      if (versionIn(key, data.name) === undefined) throw distrusted("it does not name a version of the key");
      if (data.verifiedPlaintextCrc32c !== true || data.verifiedAdditionalAuthenticatedDataCrc32c !== true) {
        throw distrusted("what was sent was not checked on its arrival");
      }
      const ciphertext = bytesIn(data, "ciphertext");
      checkSum("the ciphertext", ciphertext, data.ciphertextCrc32c);
      return ciphertext;
    },

    async decrypt(ciphertext, context, signal) {
      const aad = providerContextBytes(context);
      const plaintext = takePlaintext(await post("decrypt", () => secretJson("ciphertext", ciphertext, aad), signal));
      if (isPlaintextLength(plaintext.length)) return plaintext;
      plaintext.fill(0);
      throw distrusted(`a plaintext of ${plaintext.length} bytes`);
    },
  };
}

function succeeded(call: GcpCall, answer: HttpAnswer): HttpAnswer {
  if (answer.status !== 200) throw failure(call, answer);
  return answer;
}

/** Values are ASCII that JSON takes as it is. */
function secretJson(name: string, bytes: Uint8Array, aad: Uint8Array): Uint8Array {
  const value = encodeBase64(bytes);
  const json = Buffer.concat([
    Buffer.from(`{"${name}":"`),
    value,
    Buffer.from(`","${name}Crc32c":"${crc32c(bytes)}","additionalAuthenticatedData":"`),
    encodeBase64(aad),
    Buffer.from(`","additionalAuthenticatedDataCrc32c":"${crc32c(aad)}"}`),
  ]);
  value.fill(0);
  return json;
}
