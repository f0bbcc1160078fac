/**
 * Answers of Cloud KMS that are no success, as ours: by their status, by the reason or violation in their details, and where Google gives
 * none, by their words, which are in the cause and only there. https://cloud.google.com/apis/design/errors
 */
import { ciphertextRejected, KmsError } from "../../errors.ts";
import { wordsIn } from "../redact.ts";
import * as advice from "./advice.ts";
import { asData, type GcpData } from "./response.ts";
import type { HttpAnswer } from "../http.ts";
import { type GcpKey, versionIn } from "./key.ts";

export interface GcpCall {
  operation: "get" | "encrypt" | "decrypt";
  key: GcpKey;
}

interface GcpFailure {
  /** As in PERMISSION_DENIED. */
  status: string;
  message: string;
  /** The message without the names of resources, which may be any words. */
  words: string;
  /** Of google.rpc.ErrorInfo: https://cloud.google.com/apis/design/errors#error_info */
  reason: string | undefined;
  /** projects/123456789, where ErrorInfo names the project that pays. */
  consumer: string | undefined;
  /** Of google.rpc.PreconditionFailure, as in KEY_DISABLED. */
  violations: readonly string[];
  /** Of the key, where a violation or the message names one. */
  version: string | undefined;
}

type Advice = (about: advice.About, failure: GcpFailure) => string;
type Row = [fits: (failure: GcpFailure, call: GcpCall) => boolean, code: Code, message: string, advice?: Advice];
type Code = "PROVIDER_DENIED" | "PROVIDER_UNAVAILABLE";

const [no, later] = ["PROVIDER_DENIED", "PROVIDER_UNAVAILABLE"] as const;

const status = (name: string) => (failure: GcpFailure) => failure.status === name;
const reason = (name: string, words?: RegExp) => (failure: GcpFailure) =>
  failure.reason === name || (words?.test(failure.words) ?? false);
/** A version's state: https://cloud.google.com/kms/docs/key-states */
const state = (name: string) => {
  const said = new RegExp(`current state is: ${name}\\b`);
  return ({ status, violations, words }: GcpFailure) =>
    status === "FAILED_PRECONDITION" && (violations.includes(`KEY_${name}`) || said.test(words));
};
/** https://cloud.google.com/kms/docs/reference/ekm_errors */
const isExternal = ({ words }: GcpFailure) => /\bEKM\b|external key/i.test(words);

/** Of HTTP 4xx, in order: the first that fits. Whatever fits none may pass. */
const rows: readonly Row[] = [
  [status("RESOURCE_EXHAUSTED"), later, "throttles this project's calls", advice.raiseQuota],
  [reason("RATE_LIMIT_EXCEEDED"), later, "throttles this project's calls", advice.raiseQuota],
  [
    reason("SERVICE_DISABLED", /API has not been used in (this )?project/),
    no,
    "has its API turned off in the project",
    (about, { consumer }) => advice.turnOnApi(about, consumer),
  ],
  [
    reason("BILLING_DISABLED", /requires billing to be enabled|billing is disabled/i),
    no,
    "has billing turned off in the project",
    (about, { consumer }) => advice.linkBilling(about, consumer),
  ],
  [
    reason("SECURITY_POLICY_VIOLATED", /vpcServiceControlsUniqueIdentifier|prohibited by organization's policy/),
    no,
    "is closed to this service by VPC Service Controls",
    advice.openPerimeter,
  ],
  [
    reason("ACCESS_TOKEN_SCOPE_INSUFFICIENT", /insufficient authentication scopes/i),
    no,
    "is out of this token's scope",
    advice.widenScopes,
  ],
  [reason("USER_PROJECT_DENIED"), no, "may not count calls to the quota project", advice.allowQuotaProject],
  [status("UNAUTHENTICATED"), no, "does not accept this service's credentials", advice.renewCredentials],
  [
    (failure) => isExternal(failure) && /denied|permission|forbidden|unauthori[sz]ed|\b40[13]\b/i.test(failure.words),
    no,
    "is denied its key by the external key manager",
    advice.lookAtExternal,
  ],
  [status("PERMISSION_DENIED"), no, "denies access to its key, or there is none", advice.allow],
  [status("NOT_FOUND"), no, "has no such key", advice.find],
  [state("DISABLED"), no, "has this version of its key disabled", advice.enable],
  [state("DESTROY_SCHEDULED"), no, "is about to destroy this version of its key", advice.restore],
  [state("DESTROYED"), no, "has destroyed this version of its key", advice.replaceDestroyed],
  [state("PENDING_(GENERATION|IMPORT)"), later, "is still making this version of its key", advice.lookAtVersions],
  [
    ({ status, words }) => status === "FAILED_PRECONDITION" && /no primary/i.test(words),
    no,
    "has no primary version of its key",
    advice.makePrimary,
  ],
  [
    (failure) => failure.status === "FAILED_PRECONDITION" && isExternal(failure),
    later,
    "gets no answer from the external key manager",
    advice.lookAtExternal,
  ],
  [status("FAILED_PRECONDITION"), no, "holds its key in a state that forbids its use", advice.lookAtVersions],
  // A part of the request was changed on its way: https://cloud.google.com/kms/docs/data-integrity-guidelines
  [
    ({ status, words }) => status === "INVALID_ARGUMENT" && /checksum/i.test(words),
    later,
    "did not get the request whole",
  ],
  [status("INVALID_ARGUMENT"), no, "does not take the request", advice.look],
];

/** Of any answer but a success. */
export function failure(call: GcpCall, answer: HttpAnswer): KmsError {
  const found = failureIn(call.key, answer);
  const cause = wordsOf(answer, found);
  if (found === undefined) {
    const isRedirect = answer.status >= 300 && answer.status < 400;
    const what = isRedirect ? "sends this service elsewhere" : "answered what cannot be read";
    return new KmsError(later, `provider gcp ${what} (HTTP ${answer.status})`, {
      cause,
      advice: isRedirect ? advice.nameEndpoint() : undefined,
    });
  }
  if (isRejection(call, found)) return ciphertextRejected(cause);
  const isRefusal = answer.status >= 400 && answer.status < 500;
  const row = isRefusal ? rows.find(([fits]) => fits(found, call)) : undefined;
  const [, code, message, what] = row ?? [undefined, later, "cannot answer now"];
  return new KmsError(code, `provider gcp ${message}`, {
    cause,
    advice: what?.({ key: call.key, version: found.version }, found),
  });
}

/** Whether the token is not, or no more, one that Google takes. */
export function saysDeadToken(answer: HttpAnswer, key: GcpKey): boolean {
  return answer.status === 401 && failureIn(key, answer) !== undefined;
}

/**
 * Only the ciphertext can be wrong in a Decrypt: the key was described before, the context is ours. What stands before Cloud KMS and
 * refuses a request gives a reason; Cloud KMS itself gives none.
 */
function isRejection({ operation }: GcpCall, { status, reason, words }: GcpFailure): boolean {
  return operation === "decrypt" && status === "INVALID_ARGUMENT" && reason === undefined && !/checksum/i.test(words);
}

/** Undefined for what Google did not write, as a proxy's page. */
function failureIn(key: GcpKey, { body }: HttpAnswer): GcpFailure | undefined {
  let error: GcpData | undefined;
  try {
    error = asData(asData(JSON.parse(body.toString()))?.error);
  } catch {
    return undefined;
  }
  if (error === undefined || typeof error.status !== "string" || typeof error.message !== "string") return undefined;
  const details = Array.isArray(error.details) ? error.details.map(asData) : [];
  const info = details.find((detail) => detail?.["@type"] === "type.googleapis.com/google.rpc.ErrorInfo");
  const violations = details.flatMap((detail) =>
    Array.isArray(detail?.violations) ? detail.violations.map(asData) : [],
  );
  const consumer = asData(info?.metadata)?.consumer;
  const subjects = [...violations.map((violation) => violation?.subject), ...error.message.split(/[\s'"]/)];
  return {
    status: error.status,
    message: error.message,
    words: error.message.replace(/projects\/\S+/g, "…"),
    reason: typeof info?.reason === "string" ? info.reason : undefined,
    consumer: typeof consumer === "string" ? /^projects\/([\w:.-]+)$/.exec(consumer)?.[1] : undefined,
    violations: violations.map((violation) => String(violation?.type)),
    version: subjects.map((subject) => versionIn(key, subject)).find((version) => version !== undefined),
  };
}

function wordsOf({ status, retryAfter }: HttpAnswer, found: GcpFailure | undefined): Error {
  const said = found === undefined ? "no error in JSON" : `${found.reason ?? found.status}: ${found.message}`;
  const wait = retryAfter === undefined ? "" : `, to be asked again after ${retryAfter} s`;
  return new Error(`Cloud KMS answered ${status}${wait}: ${wordsIn(said.replaceAll("\n", " "))}`);
}
