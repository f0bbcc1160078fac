/**
 * What google-auth-library throws, as ours. Its errors carry the request, with the credentials in it, and a parser's words quote the file:
 * of them goes into the cause what a source of tokens said, and a code. https://www.rfc-editor.org/rfc/rfc6749#section-5.2
 */
import { KmsError } from "../../errors.ts";
import { wordsIn } from "../redact.ts";
import { giveCredentials, renewCredentials } from "./advice.ts";
import { NoToken } from "./credentials.ts";
import { codeOf, unreachable } from "../unreachable.ts";

/** What errors of the library have that matters here. Those of a request have the request too. */
interface LibraryError extends Error {
  config?: unknown;
  response?: { status?: number; data?: unknown };
}

const passing: readonly number[] = [408, 425, 429];

/** `hadToken`: whether there were credentials before, so that what is missing now comes back. */
export function tokenFailure(thrown: unknown, hadToken: boolean): KmsError {
  if (thrown instanceof KmsError) return thrown;
  const error = thrown as LibraryError;
  const status = error.response?.status ?? 0;
  if (thrown instanceof NoToken || (status >= 200 && status < 400)) {
    return unavailable("gets an answer without a token from where its tokens come from", new Error("no access token"));
  }
  if (status > 0) return ofAnswer(error, status);
  const code = codeOf(error);
  if (error.config !== undefined || (code !== "" && !fileCodes.test(code))) {
    return unreachable(
      Object.assign(new Error(`no access token: ${code || "no answer"}`), { code }),
      "where provider gcp gets its tokens",
    );
  }
  const cause = new Error(wordsOf(error));
  const message = isMissing(error) ? "has no credentials" : "cannot use its credentials";
  return hadToken ? unavailable(message, cause) : denied(message, cause, giveCredentials());
}

const fileCodes = /^(ENOENT|EACCES|EPERM|EISDIR|ENOTDIR|ELOOP|ERR_OSSL_.*|ERR_INVALID_.*|MISSING_.*)$/;

function ofAnswer(error: LibraryError, status: number): KmsError {
  const cause = new Error(`HTTP ${status}: ${wordsOf(error)}`);
  if (status >= 500 || passing.includes(status)) return unavailable("gets no access token now", cause);
  // A service account's request for a token is dated: https://developers.google.com/identity/protocols/oauth2/service-account#error-codes
  if (/reasonable timeframe/i.test(wordsOf(error))) {
    return unavailable("finds this machine's clock wrong", cause, renewCredentials());
  }
  return denied("does not accept this service's credentials", cause, renewCredentials());
}

function isMissing({ message }: LibraryError): boolean {
  return /could not load the default credentials/i.test(message);
}

function wordsOf({ name, message, response }: LibraryError): string {
  if (name === "SyntaxError") return "the credentials file is not JSON";
  const { error, error_description: description } = Object(response?.data) as Record<string, unknown>;
  const isOAuth = typeof error === "string" && typeof description === "string";
  return wordsIn(isOAuth ? `${error}: ${description}` : String(message));
}

function denied(message: string, cause: Error, advice: string): KmsError {
  return new KmsError("PROVIDER_DENIED", `provider gcp ${message}`, { cause, advice });
}

function unavailable(message: string, cause: Error, advice = giveCredentials()): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", `provider gcp ${message}`, { cause, advice });
}
