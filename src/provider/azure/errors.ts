/**
 * What Key Vault and its SDK throw, as ours: by the answer itself where there was one, as the SDK keeps little of it (it spells the
 * inner error two ways, drops `kid`, and puts a body that it cannot read, which may be a key, into its message). Azure's own words are in
 * the cause, and only there. learn.microsoft.com/azure/key-vault/general/rest-error-codes
 */
import { ciphertextRejected, KmsError } from "../../errors.ts";
import type { DataAction } from "./advice.ts";
import * as advice from "./advice.ts";
import type { AzureKeyName } from "./key.ts";
import { wordsIn } from "../redact.ts";
import { isOfCertificate } from "../unreachable.ts";

/** A call at the vault, as much as its errors need to know. */
export interface AzureCall extends Pick<AzureKeyName, "keyId"> {
  action: DataAction;
  /** The one that wraps or opens. */
  version?: string | undefined;
}

/** What was answered, whatever the SDK made of it. */
export interface AzureAnswer {
  status: number;
  retryAfter: string | undefined;
  /** JSON's value; text for what is no JSON. */
  body: unknown;
}

interface Words {
  status: number;
  /** The innermost first, as in KeyDisabled, Forbidden. */
  codes: readonly string[];
  message: string;
}

type Meaning = (words: Words, call: AzureCall) => KmsError;

const deleted = denies("was deleted", advice.recover);
const network: Meaning = (words, call) =>
  denied("the provider's firewall refuses this service", words, advice.openNetwork(call));

/** By a code, the innermost that is here. Whatever is not may pass, or is told by its status. */
const meanings: ReadonlyMap<string, Meaning> = new Map([
  ["KeyDisabled", denies("is disabled", advice.enable)],
  ["KeyNotYetValid", denies("is not valid yet", advice.wait)],
  ["KeyExpired", denies("has expired", advice.renew)],
  ["KeyOperationForbidden", denies("does not permit this operation", advice.permitOperations)],
  ["ForbiddenByFirewall", network],
  ["ForbiddenByConnection", network],
  ["ForbiddenByRbac", accessDenied],
  ["ForbiddenByPolicy", accessDenied],
  ["AccessDenied", accessDenied],
  ["KeyNotFound", missing],
  ["ObjectIsBeingDeleted", deleted],
  ["ObjectIsDeletedButRecoverable", deleted],
  ["ObjectIsBeingRecovered", (words) => unavailable("the provider's key is being recovered", words)],
  ["BadParameter", malformed],
]);

/** Of answers with JSON that no code tells more of. */
function byStatus({ status, message }: Words): Meaning | undefined {
  if (status === 400) return malformed;
  if (/\b(soft[- ]?deleted|being deleted|deleted but recoverable)\b/i.test(message)) return deleted;
  if (status === 403)
    return /client address|public network access|private link/i.test(message) ? network : accessDenied;
  return status === 404 ? missing : undefined;
}

/** Of any answer but 401. */
export function azureError(thrown: unknown, call: AzureCall, answer: AzureAnswer | undefined): KmsError {
  if (thrown instanceof KmsError) return thrown;
  if (answer === undefined && isOnChallenge(thrown)) {
    const options = {
      cause: causeOf("Error", "the challenge is of another domain"),
      advice: advice.trustChallenge(call),
    };
    return new KmsError("PROVIDER_UNAVAILABLE", "the provider's challenge is not to be trusted", options);
  }
  if (answer === undefined) return unreachable(thrown, { who: "the provider", unknownName: advice.findVault(call) });
  const words = wordsOf(answer);
  const { status, retryAfter } = answer;
  if (status === 429) {
    const message =
      retryAfter === undefined ? words.message : `${words.message} (again after ${wordsIn(retryAfter)} s)`;
    return unavailable("the provider throttles this service's calls", { ...words, message }, advice.spread());
  }
  if (status >= 200 && status < 300) return unreadable(status);
  if (status < 400 || status >= 500 || words.codes.length === 0)
    return unavailable("the provider cannot answer now", words);
  const code = words.codes.find((each) => meanings.has(each));
  const meaning = (code === undefined ? undefined : meanings.get(code)) ?? byStatus(words);
  return meaning?.(words, call) ?? unavailable("the provider cannot answer now", words);
}

/** Of 401. A token that was taken before has expired on the way, or its key has; one that never was will not be. */
export function credentialsRefused(answer: AzureAnswer, wasGood: boolean): KmsError {
  const [message, words] = ["the provider does not accept this service's credentials", wordsOf(answer)];
  return (wasGood ? unavailable : denied)(message, words, advice.giveCredentials());
}

/** Whether there is no such version, or no such key. */
export function saysMissing({ status, body }: AzureAnswer): boolean {
  return status === 404 && codesIn(body).length > 0;
}

/** A server, as an operator knows it, and what there is to do where its name is not known. */
interface Server {
  who: "the provider" | "the provider's authority";
  unknownName: string;
}

/** What is wrong with the way to a server of Azure's. */
export function unreachable(thrown: unknown, { who, unknownName }: Server): KmsError {
  const { name, message, code } = Object(thrown) as { name?: unknown; message?: unknown; code?: unknown };
  const word = typeof code === "string" && /^[A-Z0-9_]{1,64}$/.test(code) ? code : "";
  // PARSE_ERROR is of an answer that broke off, or is no JSON: the SDK puts all of it into the message.
  const cause = causeOf(name, word === "PARSE_ERROR" ? "an answer cannot be read" : `${word} ${message}`);
  if (isOfCertificate(word)) {
    const options = { cause, advice: advice.trustCertificate(word) };
    return new KmsError("PROVIDER_UNAVAILABLE", `${who} cannot be reached by TLS (${word})`, options);
  }
  const options = { cause, advice: /^(ENOTFOUND|EAI_AGAIN)$/.test(word) ? unknownName : undefined };
  return new KmsError("PROVIDER_UNAVAILABLE", `${who} cannot be reached`, options);
}

/** The SDK's own refusal of what a 401 says: without a code, and before there is an answer. */
function isOnChallenge(thrown: unknown): boolean {
  return thrown instanceof Error && !("code" in thrown) && /^The challenge /.test(thrown.message);
}

function wordsOf({ status, body }: AzureAnswer): Words {
  const { error } = Object(body) as { error?: unknown };
  const { message = "" } = Object(error) as { message?: unknown };
  return { status, codes: codesIn(body), message: typeof message === "string" ? message.replaceAll("\n", " ") : "" };
}

/** At most as deep as answers were seen to be. */
function codesIn(body: unknown): string[] {
  const codes: string[] = [];
  let error: unknown = (Object(body) as { error?: unknown }).error;
  for (let depth = 0; depth < 4 && typeof error === "object" && error !== null; depth += 1) {
    const { code, innererror, innerError } = error as Record<string, unknown>;
    if (typeof code === "string") codes.unshift(code);
    error = innererror ?? innerError;
  }
  return codes;
}

function denies(what: string, tell: (call: AzureCall) => string): Meaning {
  return (words, call) => denied(`the provider's key ${what}`, words, tell(call));
}

function accessDenied(words: Words, call: AzureCall): KmsError {
  return denied("the provider denies access to its key", words, advice.allow(call, call.action));
}

function missing(words: Words, call: AzureCall): KmsError {
  return denied("the provider's key does not exist", words, advice.find(call));
}

/** Only the wrapped key can be wrong in an unwrap: its algorithm, its length, its bytes. */
function malformed(words: Words, call: AzureCall): KmsError {
  if (call.action === "unwrap") return ciphertextRejected(causeOfWords(words));
  return denied("the provider does not take the request", words, advice.look(call));
}

function unreadable(status: number): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", "the provider's answer cannot be read", {
    cause: new Error(`HTTP ${status} with another body than was asked for`),
  });
}

function denied(message: string, words: Words, what: string): KmsError {
  return new KmsError("PROVIDER_DENIED", message, { cause: causeOfWords(words), advice: what });
}

function unavailable(message: string, words: Words, what?: string): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", message, { cause: causeOfWords(words), advice: what });
}

function causeOfWords({ status, codes, message }: Words): Error {
  return causeOf("KeyVaultError", `HTTP ${status} ${codes.join(" in ")} ${message}`);
}

function causeOf(name: unknown, message: string): Error {
  return Object.assign(new Error(wordsIn(message.trim())), { name: wordsIn(String(name)) });
}
