/**
 * What AWS KMS and its SDK throw, as ours. The SDK says of no error whether it passes (`$retryable` is undefined), and has no class for
 * many: so by name, `$fault`, HTTP status and `code`. AWS's own words are in the cause, and only there.
 * docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html and the "Errors" of each operation.
 */
import { ciphertextRejected, invalidField, KmsError } from "../../errors.ts";
import { wordsIn } from "../redact.ts";
import type { AwsCall } from "./advice.ts";
import * as advice from "./advice.ts";

/** What errors of the SDK have that matters here. */
interface SdkError extends Error {
  $fault?: "client" | "server";
  $metadata?: { httpStatusCode?: number; requestId?: string };
  code?: string;
}

type Meaning = (error: SdkError, call: AwsCall) => KmsError;

/** Of errors that AWS puts on the request, HTTP 4xx. Whatever is not here may pass. */
const meanings: ReadonlyMap<string, Meaning> = new Map([
  ["InvalidCiphertextException", rejected],
  ["IncorrectKeyException", rejected],
  ["ValidationException", malformed],
  ["InvalidArnException", malformed],
  ["DisabledException", wrongState],
  ["KMSInvalidStateException", wrongState],
  ["AccessDeniedException", accessDenied],
  ["NotFoundException", notFound],
  ["InvalidKeyUsageException", wrongKind],
  ["UnsupportedOperationException", wrongKind],
  ["RequestExpired", clock],
  ["RequestExpiredException", clock],
  ["RequestInTheFuture", clock],
  ["RequestTimeTooSkewed", clock],
  ["InvalidSignatureException", (error, call) => (isOffTime(error) ? clock(error, call) : credentials(error))],
  ["SignatureDoesNotMatch", (error, call) => (isOffTime(error) ? clock(error, call) : credentials(error))],
  // The rest is about who asks: KMS's own names, and those of STS, which makes credentials for a role.
  ["UnrecognizedClientException", credentials],
  ["InvalidClientTokenId", credentials],
  ["MissingAuthenticationToken", credentials],
  ["MissingAuthenticationTokenException", credentials],
  ["IncompleteSignature", credentials],
  ["IncompleteSignatureException", credentials],
  ["ExpiredToken", credentials],
  ["ExpiredTokenException", credentials],
  ["AccessDenied", credentials],
  ["NotAuthorized", credentials],
  ["OptInRequired", credentials],
  ["InvalidIdentityToken", credentials],
  ["InvalidIdentityTokenException", credentials],
  ["IDPRejectedClaim", credentials],
  ["IDPRejectedClaimException", credentials],
]);

const throttled = /throttl|TooManyRequests|RequestLimitExceeded|SlowDown/i;
/** In custom key stores this exception is also a failure of the store behind the key, and says so. */
const passing = /\b(creating|updating|unavailable|retry|try again|timed? ?out|did not respond|in time)\b/i;

/** `hadCredentials`: whether AWS has answered before, so that credentials that are missing now were there. */
export function awsError(thrown: unknown, call: AwsCall, hadCredentials: boolean): KmsError {
  if (thrown instanceof KmsError) return thrown;
  const error = inOneLine(thrown as SdkError);
  const { name, $fault, $metadata: { httpStatusCode: status = 0 } = {} } = error;
  if (name === "CredentialsProviderError" || name === "TokenProviderError") return noCredentials(error, hadCredentials);
  if ($fault === undefined) return status > 0 ? unreadable(error, status) : unreachable(error);
  if (throttled.test(name) || status === 429) return unavailable("the provider throttles this account's calls", error);
  if (/^ExpiredToken(Exception)?$/.test(name) && hadCredentials) return expired(error);
  const meaning = status >= 400 && status < 500 ? meanings.get(name) : undefined;
  return meaning?.(error, call) ?? unavailable("the provider cannot answer now", error);
}

/** On a wrong signature AWS sends the request back as it should have been signed, with the session token, behind the first line of its words. */
function inOneLine({ name, message, $fault, $metadata, code }: SdkError): SdkError {
  return Object.assign(new Error(wordsIn(String(message))), {
    name: wordsIn(String(name)),
    $fault,
    $metadata,
    code,
  }) as SdkError;
}

/** The SDK finds no region, or takes none of that name. */
export function noRegion(cause: unknown): KmsError {
  const isMissing = cause instanceof Error && /missing/i.test(cause.message);
  const what = isMissing ? "is missing: set it, or AWS_REGION, or region in the AWS profile" : "is not a region's name";
  const { message, violations } = invalidField("aws.kms.region", what);
  return new KmsError("INVALID_ARGUMENT", message, { violations, cause });
}

function rejected(error: SdkError, { action }: AwsCall): KmsError {
  return action === "Decrypt" ? ciphertextRejected(error) : unavailable("the provider cannot answer now", error);
}

/** Only the blob can be wrong in a Decrypt: the key was described before, the context is ours. */
function malformed(error: SdkError, call: AwsCall): KmsError {
  if (call.action === "Decrypt") return ciphertextRejected(error);
  return denied("the provider does not take the request", error, advice.find(call));
}

function wrongState(error: SdkError, call: AwsCall): KmsError {
  const { message, name } = error;
  if (/pending (replica )?deletion/i.test(message)) {
    return denied("the provider's key is pending deletion", error, advice.cancelDeletion(call));
  }
  if (/pending import/i.test(message)) {
    return denied("the provider's key has no key material", error, advice.importMaterial(call));
  }
  if (name === "DisabledException" || /\bdisabled\b/i.test(message)) {
    return denied("the provider's key is disabled", error, advice.enable(call));
  }
  if (passing.test(message)) return unavailable("the provider's key is not available now", error);
  return denied("the provider's key is in a state that forbids its use", error, advice.look(call));
}

function wrongKind(error: SdkError, call: AwsCall): KmsError {
  return denied("the provider's key is not one for this operation", error, advice.look(call));
}

/** AWS names the key by its ARN, also where it was asked for by an alias. */
function accessDenied(error: SdkError, call: AwsCall): KmsError {
  const key = /arn:[a-z0-9-]+:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+/.exec(error.message)?.[0] ?? call.key;
  return denied("the provider denies access to its key", error, advice.allow({ ...call, key }));
}

function notFound(error: SdkError, call: AwsCall): KmsError {
  return denied("the provider's key does not exist", error, advice.find(call));
}

function credentials(error: SdkError): KmsError {
  return denied("the provider does not accept this service's credentials", error, advice.giveCredentials());
}

/** They were good before: what makes new ones is away. Credentials that are taken away have other names. */
function expired(error: SdkError): KmsError {
  return unavailable("this service's credentials for the provider have expired", error, advice.giveCredentials());
}

function isOffTime({ message }: SdkError): boolean {
  return /signature expired|not yet current|too skewed/i.test(message);
}

function clock(error: SdkError, _call: AwsCall): KmsError {
  return unavailable("the provider finds this machine's clock wrong", error, advice.setClock());
}

/** None at all is a configuration that stays; a source that was good before, or that is slow, comes back. */
function noCredentials(error: SdkError, hadCredentials: boolean): KmsError {
  const passes = hadCredentials || /timeout|timed out|ECONN|EAI_AGAIN|ENOTFOUND|socket/i.test(error.message);
  const message = "there are no credentials for the provider";
  return passes
    ? unavailable(message, error, advice.giveCredentials())
    : denied(message, error, advice.giveCredentials());
}

/** JSON.parse quotes what it cannot read, and that may be a key: the cause is told without its words. */
function unreadable({ name, $metadata }: SdkError, status: number): KmsError {
  const cause = new Error(`${name} in the answer of HTTP ${status}, request ${$metadata?.requestId ?? "without id"}`);
  return unavailable("the provider's answer cannot be read", cause);
}

/** Likewise of credentials: a container's or an instance's are JSON too. */
function unreachable(error: SdkError): KmsError {
  const cause = error.name === "SyntaxError" ? new Error("an answer is not JSON") : error;
  return unavailable("the provider cannot be reached", cause);
}

function denied(message: string, cause: unknown, what: string): KmsError {
  return new KmsError("PROVIDER_DENIED", message, { cause, advice: what });
}

function unavailable(message: string, cause: unknown, what?: string): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", message, { cause, advice: what });
}
