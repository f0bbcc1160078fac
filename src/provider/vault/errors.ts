/**
 * Answers that are no success, in our words. Vault says most by its text: every mistake of a caller is HTTP 400. Its text is kept in the
 * cause alone. Statuses: https://developer.hashicorp.com/vault/api-docs#http-status-codes
 */
import { ciphertextRejected, KmsError } from "../../errors.ts";
import { wordsIn } from "../redact.ts";
import { errorsOf } from "./response.ts";
import type { HttpAnswer } from "../http.ts";
import { command, missingKeyAdvice, policyAdvice, restoreAdvice } from "./advice.ts";
import { pathsOf, type VaultKeyName } from "./paths.ts";

/** Of encrypt, decrypt and reading the key. */
export function keyFailure(key: VaultKeyName, answer: HttpAnswer): KmsError {
  const errors = errorsOf(answer);
  if (errors === undefined || isPassing(answer)) return unavailable(answer);
  const cause = wordsOf(answer);
  const words = errors.join("\n");
  if (/^invalid ciphertext|: message authentication failed$/.test(words)) return ciphertextRejected(cause);
  for (const [text, message, advice] of refusals) {
    if (text.test(words))
      return new KmsError("PROVIDER_DENIED", `provider vault ${message}`, { cause, advice: advice(key) });
  }
  if (answer.status === 403) {
    return new KmsError("PROVIDER_DENIED", "provider vault denies access to the key", {
      cause,
      advice: policyAdvice(key),
    });
  }
  if (answer.status === 404) return missingKey(key, cause);
  return new KmsError("PROVIDER_DENIED", "provider vault refuses the request", {
    cause,
    advice: `See that ${key.mount} is a mount of transit: ${command(key, "read", pathsOf(key).keys)}.`,
  });
}

export function missingKey(key: VaultKeyName, cause?: unknown): KmsError {
  return new KmsError("PROVIDER_DENIED", `provider vault has no key ${pathsOf(key).keys}`, {
    cause,
    advice: missingKeyAdvice(key),
  });
}

/** Of a look at a key that is not there, in an engine that is: `{"errors":[]}`. */
export function isMissing(answer: HttpAnswer): boolean {
  return answer.status === 404 && errorsOf(answer)?.length === 0;
}

/** Of a login, a renewal and a look at the token. `advice` is for one that is refused. */
export function loginFailure(answer: HttpAnswer, advice: string): KmsError {
  if (errorsOf(answer) === undefined || isPassing(answer)) return unavailable(answer);
  return new KmsError("PROVIDER_DENIED", "provider vault refuses the login", { cause: wordsOf(answer), advice });
}

/**
 * Whether the answer is that to a token which is revoked, expired or made up: OpenBao, and Vault before 1.17, say `permission denied` and
 * nothing else; Vault since then `invalid token` too (https://developer.hashicorp.com/vault/docs/concepts/tokens#error-responses).
 * A policy's denial is a list of one error.
 */
export function saysDeadToken(answer: HttpAnswer): boolean {
  if (answer.status !== 403) return false;
  const errors = errorsOf(answer);
  return errors?.length === 1 && (errors[0] === "permission denied" || /^\s*\* invalid token$/m.test(errors[0]!));
}

const refusals: readonly [RegExp, message: string, advice: (key: VaultKeyName) => string][] = [
  [/encryption key not found/, "has no such key", missingKeyAdvice],
  [
    /disallowed by policy \(too old\)/,
    "no longer opens this version of its key",
    (key) =>
      `Allow it until every key is wrapped anew: ${command(key, "write", `${pathsOf(key).keys}/config min_decryption_version=1`)}.`,
  ],
  [/soft-deleted key/, "holds its key as deleted", restoreAdvice],
  [
    /no handler for route/,
    "has no transit engine at that mount",
    (key) =>
      `Mount it, or correct vault.transit.mount: ${command(key, "secrets enable", `-path=${key.mount} transit`)}.`,
  ],
  [/namespace not found/, "has no such namespace", () => "Correct vault.namespace: vault namespace list."],
];

/** 412: a replica lags behind; 429: a quota, or a standby's health; 472, 473: a secondary. */
function isPassing({ status }: HttpAnswer): boolean {
  return status < 400 || status >= 500 || [408, 412, 425, 429, 472, 473].includes(status);
}

function unavailable(answer: HttpAnswer): KmsError {
  const { status } = answer;
  return new KmsError("PROVIDER_UNAVAILABLE", `provider vault answered with status ${status}`, {
    cause: wordsOf(answer),
    advice: outageAdvice(answer),
  });
}

function outageAdvice({ status, body }: HttpAnswer): string | undefined {
  if (status >= 300 && status < 400) {
    return "Name the active server or a load balancer in vault.addr: a redirect is not followed, as the token would go where it says.";
  }
  if (status === 404)
    return "See that vault.addr is Vault's address and vault.transit.mount the mount of a transit engine.";
  if (status === 501) return "Initialise Vault: vault operator init (bao operator init).";
  if (status === 503 && /sealed/i.test(body.toString()))
    return "Unseal Vault: vault operator unseal (bao operator unseal).";
  return undefined;
}

function wordsOf(answer: HttpAnswer): Error {
  const words = errorsOf(answer)?.join("; ") ?? "no errors in JSON";
  return new Error(`Vault answered ${answer.status}: ${wordsIn(words.replaceAll("\n", " "))}`);
}
