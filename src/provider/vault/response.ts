/**
 * What is in an answer of Vault, distrusted: what lacks the form that Vault documents did not come from Vault, but from a proxy, or from a
 * server that is not well, and is PROVIDER_UNAVAILABLE.
 */
import { plaintextIn } from "../plaintext-in.ts";
import { KmsError } from "../../errors.ts";
import { wordsIn } from "../redact.ts";
import { decodeBase64 } from "../../encoding/base64.ts";
import type { HttpAnswer } from "../http.ts";

export type VaultData = Readonly<Record<string, unknown>>;

/** The `data` of an answer that is a success. */
export function dataOf(answer: HttpAnswer): VaultData {
  return recordIn(parsed(answer), "data");
}

/** The token that a login or a renewal answered with, in seconds as there. */
export function authOf(answer: HttpAnswer): { token: string; leaseSeconds: number; renewable: boolean } {
  const auth = recordIn(parsed(answer), "auth");
  const { client_token: token, lease_duration: leaseSeconds, renewable } = auth;
  if (!isToken(token) || !isCount(leaseSeconds) || typeof renewable !== "boolean") throw unreadable("a token");
  return { token, leaseSeconds, renewable };
}

/** `errors` of an answer that is a failure; undefined for one that has none, as a proxy's page. */
export function errorsOf({ body }: HttpAnswer): readonly string[] | undefined {
  try {
    const { errors } = JSON.parse(body.toString());
    return Array.isArray(errors) && errors.every((error) => typeof error === "string") ? errors : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The bytes of `data.plaintext`, cut out before the rest is parsed, so that they never are a string. The caller owns them.
 * The answer is overwritten.
 */
export function takePlaintext(answer: HttpAnswer): Buffer {
  const { body } = answer;
  let plaintext: Buffer | undefined;
  try {
    const [start, end] = plaintextIn(body) ?? noPlaintext();
    plaintext = decodeBase64(body.subarray(start, end));
    const rest = Buffer.concat([body.subarray(0, start), body.subarray(end)]);
    // The one that was found is the one in data, or this is another answer than it seems.
    if (plaintext === undefined || dataOf({ ...answer, body: rest }).plaintext !== "") throw unreadable("a plaintext");
    return plaintext;
  } catch (error) {
    plaintext?.fill(0);
    throw error;
  } finally {
    body.fill(0);
  }
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isToken(value: unknown): value is string {
  return typeof value === "string" && /^[\x21-\x7e]{1,8192}$/.test(value);
}

export function unreadable(what: string, cause?: unknown): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", `provider vault answered without ${what}`, { cause });
}

function parsed({ body }: HttpAnswer): VaultData {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw unreadable("JSON"); // a parser's message quotes what it read
  }
  const answer = asRecord(value);
  refuseIgnored(answer.warnings);
  return answer;
}

/** Vault before it knew associated data takes it, warns, and authenticates nothing. */
function refuseIgnored(warnings: unknown): void {
  if (!Array.isArray(warnings)) return;
  const ignored = warnings.find((warning) => /ignored these unrecognized parameters/i.test(String(warning)));
  if (ignored === undefined) return;
  throw new KmsError("PROVIDER_UNAVAILABLE", "provider vault ignored a part of the request", {
    cause: new Error(wordsIn(String(ignored))),
    advice:
      "Update Vault to a version whose transit/encrypt and transit/decrypt take associated_data: this one ignores it.",
  });
}

function recordIn(answer: VaultData, name: string): VaultData {
  return asRecord(Object.hasOwn(answer, name) ? answer[name] : undefined, name);
}

function asRecord(value: unknown, name = "an object"): VaultData {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unreadable(name);
  return value as VaultData;
}

function noPlaintext(): never {
  throw unreadable("a plaintext");
}
