/**
 * Tokens of the SDK's default chain of credentials: environment, workload identity, managed identity, the tools of developers. The SDK's
 * own keeping of tokens is passed by, as it refreshes them in promises that nobody waits for, so that one that fails ends the process,
 * and hands one caller's abort on to all who wait: each token is given to it as one that is used up, and kept here.
 *
 * What a failure means is told by what the authority last answered, as the SDK has one error for a refusal and for a cable that is out.
 */
import type { AccessToken, GetTokenOptions, TokenCredential } from "@azure/identity";
import { DefaultAzureCredential } from "@azure/identity";
import { KmsError } from "../../errors.ts";
import { withDeadline } from "../../runtime/deadline.ts";
import * as advice from "./advice.ts";
import { type AzureConnection, type Exchange, isSecure, watched } from "./connection.ts";
import { unreachable } from "./errors.ts";
import { wordsIn } from "../redact.ts";

export interface AzureTokens extends TokenCredential {
  getToken(scopes: string | string[], options?: GetTokenOptions): Promise<AccessToken>;
  /** Counts what `refused` forgot: which tokens a call may have that begins now. */
  generation(): number;
  /** A token was taken: others will be. */
  accepted(): void;
  /** A token of that generation is not taken. It is forgotten, and so is the credential, which may keep it. Whether it was taken before. */
  refused(generation: number): boolean;
}

export interface TokenSettings {
  connection: AzureConnection;
  /** `azure.instance-discovery` */
  instanceDiscovery: boolean;
}

interface Held {
  token: AccessToken;
  /** The scopes and tenant that it is for. */
  of: string;
}

const fetchTimeoutMs = 10_000;
/** A token is replaced that long before it is used up, where that goes well. */
const renewalMs = 300_000;
const leastMs = 5_000;
const pauseAfterFailureMs = 10_000;
/** RFC 6749, 4.1.2.1 and 5.2: what is not a refusal of who asks. */
const passing: ReadonlySet<string> = new Set([
  "temporarily_unavailable",
  "server_error",
  "authorization_pending",
  "slow_down",
]);

export function azureTokens({ connection, instanceDiscovery }: TokenSettings): AzureTokens {
  let credential: DefaultAzureCredential | undefined;
  let held: Held | undefined;
  let fetching: { of: string; token: Promise<AccessToken> } | undefined;
  let seen: Exchange | undefined;
  let hadToken = false;
  let isProven = false;
  let generation = 0;
  let restsUntilMs = 0;

  /** The one request for a token, whoever waits for it. */
  function fetched(scopes: string[], options: GetTokenOptions, of: string): Promise<AccessToken> {
    if (fetching?.of === of && options.claims === undefined) return fetching.token;
    const token = fetchToken(scopes, options);
    const current = { of, token };
    fetching = current;
    token
      .then(
        (fresh) => {
          [held, hadToken] = [{ token: fresh, of }, true];
          isProven = false;
        },
        () => {
          restsUntilMs = Date.now() + pauseAfterFailureMs;
          credential = undefined; // for a minute, MSAL would give the same failure without asking again
        },
      )
      .finally(() => {
        if (fetching === current) fetching = undefined;
      });
    return token;
  }

  async function fetchToken(scopes: string[], { claims, tenantId }: GetTokenOptions): Promise<AccessToken> {
    seen = undefined;
    const options = { ...(claims && { claims }), ...(tenantId && { tenantId }) };
    const late = () => unavailable("the provider's authority did not answer in time");
    try {
      credential ??= new DefaultAzureCredential({
        ...connection.options(),
        disableInstanceDiscovery: !instanceDiscovery,
      });
      const source = credential;
      const token = await withDeadline(fetchTimeoutMs, late, (abortSignal) =>
        watched(noteExchange, () => source.getToken(scopes, { ...options, abortSignal })),
      );
      if (typeof token?.token !== "string") throw new Error("a token without a text");
      return token;
    } catch (error) {
      throw error instanceof KmsError ? error : failureOf(error);
    }
  }

  function noteExchange(exchange: Exchange): void {
    // A plain http address is that of the machine's own metadata service, which is mostly not there.
    if (isSecure(exchange.url) || exchange.status !== undefined) seen = exchange;
  }

  function failureOf(thrown: unknown): KmsError {
    const { name, message } = Object(thrown) as { name?: unknown; message?: unknown };
    const cause = Object.assign(new Error(wordsIn(String(message).replaceAll(/\s+/g, " "))), {
      name: wordsIn(String(name)),
    });
    const { status, error, failure } = seen ?? {};
    if (failure !== undefined) {
      return unreachable(failure, { who: "the provider's authority", unknownName: advice.nameAuthority() });
    }
    if (status === undefined) {
      const what = "there are no credentials for the provider";
      return hadToken ? unavailable(what, cause) : denied(what, cause, advice.giveCredentials());
    }
    if (status === 429 || status >= 500 || error === undefined || passing.has(error)) {
      return unavailable("the provider's authority cannot answer now", cause);
    }
    if (error === "invalid_instance")
      return denied("the provider's authority is not known", cause, advice.nameAuthority());
    return denied(
      "the provider's authority does not accept this service's credentials",
      cause,
      advice.giveCredentials(),
    );
  }

  return {
    async getToken(scopes, options = {}) {
      const list = [scopes].flat();
      const of = JSON.stringify([list, options.tenantId]);
      const restMs = held?.of === of && options.claims === undefined ? held.token.expiresOnTimestamp - Date.now() : 0;
      if (restMs < leastMs) return usedUp(await fetched(list, options, of));
      const { token } = held!;
      const isDue = restMs < renewalMs || (token.refreshAfterTimestamp ?? Number.POSITIVE_INFINITY) < Date.now();
      if (isDue && restsUntilMs < Date.now()) fetched(list, options, of).catch(() => {}); // the one at hand is good
      return usedUp(token);
    },
    accepted() {
      isProven = true;
    },
    generation: () => generation,
    refused(ofGeneration) {
      if (ofGeneration !== generation) return true; // of a call beside the one that found it out: the next has another
      const wasGood = isProven;
      [held, credential, isProven] = [undefined, undefined, false];
      generation += 1;
      return wasGood;
    },
  };
}

/** So that the SDK asks for it again, each time, and waits. */
function usedUp({ token }: AccessToken): AccessToken {
  return { token, expiresOnTimestamp: 0 };
}

function denied(message: string, cause: unknown, what: string): KmsError {
  return new KmsError("PROVIDER_DENIED", message, { cause, advice: what });
}

/** Also of credentials that were good before: what makes new ones is away. */
function unavailable(message: string, cause?: unknown): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", message, { cause, advice: advice.giveCredentials() });
}
