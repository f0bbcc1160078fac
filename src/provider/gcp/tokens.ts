/**
 * The token that all calls share. It is renewed before it expires while calls go on with it, so that none waits, and a source of tokens
 * that is away for a while harms nobody; where there is none, whoever needs one waits for the same request. A refusal is not asked for
 * again for a second.
 */
import { KmsError } from "../../errors.ts";
import { abandonOn, withDeadline } from "../../runtime/deadline.ts";
import type { GcpToken } from "./credentials.ts";
import { tokenFailure } from "./token-errors.ts";

export interface GcpTokens {
  /** Throws PROVIDER_DENIED where there are no credentials or Google does not take them, PROVIDER_UNAVAILABLE for what may pass. */
  get(signal?: AbortSignal): Promise<GcpToken>;
  /** Of a token that Cloud KMS did not take. */
  drop(token: GcpToken): void;
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

export function gcpTokens(newToken: (signal: AbortSignal) => Promise<GcpToken>): GcpTokens {
  const closing = new AbortController();
  let current: GcpToken | undefined;
  let hadToken = false;
  let renewAtMs = 0;
  let flight: Promise<GcpToken> | undefined;
  let refusal: { error: KmsError; untilMs: number } | undefined;

  async function fetched(): Promise<GcpToken> {
    if (refusal !== undefined && performance.now() < refusal.untilMs) throw refusal.error;
    try {
      const token = await withDeadline(requestMs, late, (signal) =>
        newToken(AbortSignal.any([signal, closing.signal])),
      );
      current = token;
      hadToken = true;
      refusal = undefined;
      renewAtMs = Math.max(token.expiresAtMs - renewBeforeMs, Date.now() + renewAgainMs);
      return token;
    } catch (thrown) {
      const error = tokenFailure(thrown, hadToken);
      if (error.code === "PROVIDER_DENIED") refusal = { error, untilMs: performance.now() + holdMs };
      renewAtMs = Date.now() + renewAgainMs;
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
      const now = Date.now();
      if (current === undefined || now > current.expiresAtMs - leastLifeMs) return abandonOn(signal, oneFlight());
      if (now >= renewAtMs) oneFlight().catch(() => {}); // the next call, or the last moment, tries again
      return current;
    },
    drop(token) {
      if (current === token) current = undefined;
    },
    close() {
      current = undefined;
      closing.abort(new KmsError("PROVIDER_UNAVAILABLE", "the provider gcp is closed"));
    },
  };
}

function late(): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", "provider gcp got no access token in time");
}
