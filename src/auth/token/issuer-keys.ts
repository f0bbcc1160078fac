/**
 * The keys of one issuer: loaded at the start and every 10 minutes, and kept for a time while the issuer is down. An
 * unknown key id loads them too, at most every 30 s, because an issuer signs with a new key as soon as it has it.
 *
 * jose's createRemoteJWKSet is not used: while the issuer is down each call loads, and its response has no limit.
 */
import { inFlight } from "../../runtime/in-flight.ts";
import type { Time } from "../../runtime/time.ts";
import type { MaybePromise } from "../../call/maybe-promise.ts";
import { KmsError } from "../../errors.ts";
import { tokenOf, tokenRefused } from "./bearer.ts";
import { keysFor, type KeyUse, type SigningKey, type SigningKeys, signingKeys } from "./jwks.ts";

export interface KeySet {
  /**
   * Finds the one key that may have made a signature, at once unless keys have to be loaded. Throws UNAUTHENTICATED if
   * there is none, or several and no key id; ISSUER_UNAVAILABLE if nobody can tell now.
   */
  key(kid: string | undefined, algorithm: string): MaybePromise<SigningKey>;
  /** Tells whether keys are in force and none of them has this id: the issuer is not to blame. */
  lacks(kid: string | undefined): boolean;
  /** Tells whether the key of this fingerprint is still in force. */
  has(fingerprint: string): boolean;
  /** Loads the keys once more, because their file has changed. */
  reload(): Promise<void>;
  state(): KeySetState;
  /** Ends all loading. The keys that are loaded stay. */
  close(): void;
}

export interface KeySetState {
  readonly keys: number;
  /** Time since the keys were loaded; undefined before that. */
  readonly ageMs: number | undefined;
  /** Time since the set was opened. */
  readonly openMs: number;
  /** Reason why the last load failed. */
  readonly problem: string | undefined;
}

export interface KeySetOptions {
  /** Name of the issuer's entry in the policy, for the log. */
  name: string;
  /** Loads the key set as JSON. Rejects with an error for the log. */
  load(signal: AbortSignal): Promise<unknown>;
  use: KeyUse;
  time: Time;
  maxStaleMs: number;
  /** Receives, at each load, what the issuer's owner should know. */
  warn?(text: string): void;
  /** Receives the error of each load that failed. The former keys stay. */
  failed?(error: unknown): void;
}

export const refreshMs = 600_000;
export const pauseMs = 30_000;
const maxWithdrawn = 1_000;
/** Calls that wait for one load. */
const maxWaiting = 100;

export function openKeySet({ name, load, use, time, maxStaleMs, warn, failed }: KeySetOptions): KeySet {
  const now = time.monotonicMs;
  const openedAt = now();
  const closing = new AbortController();
  let set: SigningKeys | undefined;
  let fingerprints: ReadonlySet<string> = new Set();
  /** Key ids of former sets that are not in this one: an issuer does not sign with a key that it has withdrawn. */
  let withdrawn: ReadonlySet<string> = new Set();
  let loadedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let problem: string | undefined;
  let flight: Promise<void> | undefined;
  let waiting = 0;

  async function loadNow(): Promise<void> {
    triedAt = now();
    try {
      const loaded = signingKeys(await inFlight("issuer", () => load(closing.signal)), use);
      withdrawn = new Set(
        [...withdrawn, ...(set?.kids ?? [])].filter((kid) => !loaded.kids.has(kid)).slice(-maxWithdrawn),
      );
      set = loaded;
      fingerprints = new Set(loaded.keys.map(({ fingerprint }) => fingerprint));
      loadedAt = now();
      problem = undefined;
      for (const text of loaded.warnings) warn?.(text);
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
      if (!closing.signal.aborted) failed?.(error);
    }
  }

  function fly(): Promise<void> {
    flight ??= loadNow().finally(() => {
      flight = undefined;
    });
    return flight;
  }

  const isFresh = () => now() - loadedAt <= maxStaleMs;

  function unavailable(kid: string | undefined): KmsError {
    const text = "the issuer's keys cannot be had now";
    const inLog = `${text}: ${tokenOf(name, kid)}${problem === undefined ? "" : `: ${problem}`}`;
    return new KmsError("ISSUER_UNAVAILABLE", text, { inLog, retryAfterMs: Math.max(1, triedAt + pauseMs - now()) });
  }

  const isWithdrawn = (kid: string | undefined) => kid !== undefined && isFresh() && withdrawn.has(kid);

  async function loaded(kid: string | undefined, algorithm: string): Promise<SigningKey> {
    const mayLoad = flight !== undefined || (!closing.signal.aborted && now() - triedAt >= pauseMs);
    if (!mayLoad || waiting >= maxWaiting) throw isWithdrawn(kid) ? noSuchKey(name, kid) : unavailable(kid);
    waiting += 1;
    await fly();
    waiting -= 1;
    if (set === undefined || problem !== undefined) throw unavailable(kid);
    return chosenFrom(set, { name, kid, algorithm });
  }

  const timer = time.every(refreshMs, () => void fly());
  void fly();

  return {
    key(kid, algorithm) {
      const isThere = set !== undefined && isFresh() && (kid === undefined || set.kids.has(kid));
      return isThere ? chosenFrom(set!, { name, kid, algorithm }) : loaded(kid, algorithm);
    },
    lacks: (kid) => set !== undefined && isFresh() && kid !== undefined && !set.kids.has(kid),
    has: (fingerprint) => fingerprints.has(fingerprint) && isFresh(),
    async reload() {
      await flight;
      if (!closing.signal.aborted) await fly();
    },
    state: () => ({ keys: fingerprints.size, ageMs: set && now() - loadedAt, openMs: now() - openedAt, problem }),
    close() {
      time.clear(timer);
      closing.abort();
    },
  };
}

interface Wanted {
  name: string;
  kid: string | undefined;
  algorithm: string;
}

function chosenFrom(set: SigningKeys, { name, kid, algorithm }: Wanted): SigningKey {
  const [key, second] = keysFor(set, kid, algorithm);
  if (key === undefined) throw noSuchKey(name, kid);
  if (second !== undefined) throw tokenRefused(`${tokenOf(name, kid)}: several keys fit`);
  return key;
}

function noSuchKey(name: string, kid: string | undefined): KmsError {
  return tokenRefused(`${tokenOf(name, kid)}: there is no such key`);
}
