/**
 * The tokens that all calls share. The SDK's own keeping of tokens is passed by, as it refreshes them in promises that
 * nobody waits for, so that one that fails ends the process, and hands one caller's abort on to all who wait: each
 * token is given to it as one that is used up, and kept here.
 */
import type { AccessToken, GetTokenOptions, TokenCredential } from "@azure/identity";
import { credentialChain, type TokenSettings } from "./credential.ts";
import type { Provider } from "../provider.ts";
import { trackedCredential } from "../tracked-credential.ts";

export interface AzureTokens extends TokenCredential {
  getToken(scopes: string | string[], options?: GetTokenOptions): Promise<AccessToken>;
  /** Counts what `refused` forgot: which tokens a call may have that begins now. */
  generation(): number;
  /** A token was taken: others will be. */
  accepted(): void;
  /**
   * A token of that generation is not taken. It is forgotten, and so is the credential, which may keep it. Whether it
   * was taken before.
   */
  refused(generation: number): boolean;
  /** Returns the token in use as a credential. */
  credential: NonNullable<Provider["credential"]>;
}

interface Held {
  token: AccessToken;
  /** The scopes and tenant that it is for. */
  of: string;
}

/** A token is replaced that long before it is used up, where that goes well. */
const renewalMs = 300_000;
const leastMs = 5_000;
const pauseAfterFailureMs = 10_000;

export function azureTokens(settings: TokenSettings): AzureTokens {
  const { time } = settings;
  const chain = credentialChain(settings);
  let held: Held | undefined;
  let fetching: { of: string; token: Promise<AccessToken> } | undefined;
  let hadToken = false;
  let isProven = false;
  let generation = 0;
  let restsUntilMs = 0;
  const seen = trackedCredential(time);

  /** The one request for a token, whoever waits for it. */
  function fetched(scopes: string[], options: GetTokenOptions, of: string): Promise<AccessToken> {
    if (fetching?.of === of && options.claims === undefined) return fetching.token;
    const token = chain.fetch(scopes, options, () => hadToken);
    const current = { of, token };
    fetching = current;
    token
      .then(
        (fresh) => {
          [held, hadToken] = [{ token: fresh, of }, true];
          isProven = false;
          seen.note(fresh.expiresOnTimestamp);
        },
        () => {
          restsUntilMs = time.now().getTime() + pauseAfterFailureMs;
          chain.forget(); // for a minute, MSAL would give the same failure without asking again
        },
      )
      .finally(() => {
        if (fetching === current) fetching = undefined;
      });
    return token;
  }

  return {
    async getToken(scopes, options = {}) {
      const list = [scopes].flat();
      const of = JSON.stringify([list, options.tenantId]);
      const restMs =
        held?.of === of && options.claims === undefined ? held.token.expiresOnTimestamp - time.now().getTime() : 0;
      if (restMs < leastMs) return usedUp(await fetched(list, options, of));
      const { token } = held!;
      const isDue =
        restMs < renewalMs || (token.refreshAfterTimestamp ?? Number.POSITIVE_INFINITY) < time.now().getTime();
      if (isDue && restsUntilMs < time.now().getTime()) fetched(list, options, of).catch(() => {}); // the one at hand is good
      return usedUp(token);
    },
    accepted() {
      isProven = true;
    },
    generation: () => generation,
    refused(ofGeneration) {
      if (ofGeneration !== generation) return true; // of a call beside the one that found it out: the next has another
      const wasGood = isProven;
      [held, isProven] = [undefined, false];
      chain.forget();
      generation += 1;
      return wasGood;
    },
    credential: () => (held === undefined ? undefined : seen.current()),
  };
}

/** So that the SDK asks for it again, each time, and waits. */
function usedUp({ token }: AccessToken): AccessToken {
  return { token, expiresOnTimestamp: 0 };
}
