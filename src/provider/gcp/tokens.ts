/**
 * The token that all calls share. It is renewed before it expires while calls go on with it, so that none waits, and a source of tokens
 * that is away for a while harms nobody; where there is none, whoever needs one waits for the same request. A refusal is not asked for
 * again for a second.
 */
import { KmsError } from "../../errors.ts";
import { abandonOn, withDeadline } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import { codeOf, unreachable } from "../unreachable.ts";
import { wordsIn } from "../redact.ts";
import { giveCredentials, renewCredentials } from "./advice.ts";
import { type GcpToken, NoToken } from "./credentials.ts";
import { cloudKms } from "./http.ts";
import type { Provider } from "../provider.ts";
import { trackedCredential } from "../tracked-credential.ts";

export interface GcpTokens {
  /** Throws PROVIDER_DENIED where there are no credentials or Google does not take them, PROVIDER_UNAVAILABLE for what may pass. */
  get(signal?: AbortSignal): Promise<GcpToken>;
  /** Of a token that Cloud KMS did not take. */
  drop(token: GcpToken): void;
  /** Returns the token in use as a credential. */
  credential: NonNullable<Provider["credential"]>;
  close(): void;
}

/** Of one request for a token, with all that it takes: not a caller's, as several wait for it. */
const requestMs = 5_000;
/** The metadata server gives out the same token until about four minutes before its end. */
const renewBeforeMs = 225_000;
/** Of what is left of a token when a call still goes out with it. */
const leastLifeMs = 10_000;
const holdMs = 1_000;
const renewAgainMs = 10_000;

export function gcpTokens(newToken: (signal: AbortSignal) => Promise<GcpToken>, time: Time): GcpTokens {
  const closing = new AbortController();
  let current: GcpToken | undefined;
  let hadToken = false;
  let renewAtMs = 0;
  let flight: Promise<GcpToken> | undefined;
  const seen = trackedCredential(time);
  let refusal: { error: KmsError; untilMs: number } | undefined;

  async function fetched(): Promise<GcpToken> {
    if (refusal !== undefined && time.monotonicMs() < refusal.untilMs) throw refusal.error;
    try {
      const token = await withDeadline(time, requestMs, late, (signal) =>
        newToken(AbortSignal.any([signal, closing.signal])),
      );
      current = token;
      seen.note(token.expiresAtMs);
      hadToken = true;
      refusal = undefined;
      renewAtMs = Math.max(token.expiresAtMs - renewBeforeMs, time.now().getTime() + renewAgainMs);
      return token;
    } catch (thrown) {
      const error = tokenFailure(thrown, hadToken);
      if (error.code === "PROVIDER_DENIED") refusal = { error, untilMs: time.monotonicMs() + holdMs };
      renewAtMs = time.now().getTime() + renewAgainMs;
      throw error;
    }
  }

  function oneFlight(): Promise<GcpToken> {
    flight ??= fetched().finally(() => {
      flight = undefined;
    });
    return flight;
  }

  return {
    async get(signal) {
      const now = time.now().getTime();
      if (current === undefined || now > current.expiresAtMs - leastLifeMs) return abandonOn(signal, oneFlight());
      if (now >= renewAtMs) oneFlight().catch(() => {}); // the next call, or the last moment, tries again
      return current;
    },
    drop(token) {
      if (current === token) current = undefined;
    },
    credential: () => (current === undefined ? undefined : seen.current()),
    close() {
      current = undefined;
      closing.abort(new KmsError("PROVIDER_UNAVAILABLE", "the provider gcp is closed"));
    },
  };
}

function late(): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", "provider gcp got no access token in time");
}

/** What errors of the library have that matters here. Those of a request have the request too. */
interface LibraryError extends Error {
  config?: unknown;
  response?: { status?: number; data?: unknown };
}

const passing: readonly number[] = [408, 425, 429];

/**
 * What google-auth-library throws, as ours. Its errors carry the request, with the credentials in it, and a parser's words quote the file:
 * of them goes into the cause what a source of tokens said, and a code. https://www.rfc-editor.org/rfc/rfc6749#section-5.2
 *
 * `hadToken`: whether there were credentials before, so that what is missing now comes back.
 */
function tokenFailure(thrown: unknown, hadToken: boolean): KmsError {
  if (thrown instanceof KmsError) return thrown;
  const error = thrown as LibraryError;
  const status = error.response?.status ?? 0;
  if (thrown instanceof NoToken || (status >= 200 && status < 400)) {
    return unavailable("gets an answer without a token from where its tokens come from", new Error("no access token"));
  }
  if (status > 0) return ofAnswer(error, status);
  const code = codeOf(error);
  if (error.config !== undefined || (code !== "" && !fileCodes.test(code))) {
    const cause = Object.assign(new Error(`no access token: ${code || "no answer"}`), { code });
    return unreachable(cause, { ...cloudKms, who: "where provider gcp gets its tokens" });
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
