/**
 * When a cached value is reloaded, served without an answer, and given up: pure functions over its times.
 *
 * A value lives `ttlMs`. Late in its life it is reloaded in the background, at a random moment, so that values loaded together do not come
 * back together. While a reload gets no answer, the value is served until it expires, and `maxStaleMs` longer; an answer that says no
 * (denied, unusable, lost) evicts it at once.
 */
import { hasCode, type KmsErrorCode } from "../errors.ts";

export interface StaleLimits {
  ttlMs: number;
  /** How long after its expiry a value is served while its reload gets no answer. */
  maxStaleMs: number;
}

export interface Lifetime {
  /** Never after `expiresAt`: the one comparison of a hit. */
  refreshAt: number;
  /** The first `refreshAt`, by the clock alone. */
  readonly dueAt: number;
  /** End of the time in which the value is served, unless its life is prolonged. */
  expiresAt: number;
  /** The first `expiresAt`, by the clock alone. */
  readonly ttlEndsAt: number;
  /** No life is prolonged beyond this. */
  readonly staleUntil: number;
}

/** Why a value is loaded. How often "refreshed" happens is a matter of the time to live. */
export type LoadReason =
  /** Not cached. */
  | "first"
  /** Late in the value's life, in the background. */
  | "refreshed"
  /** On demand, after its expiry. */
  | "expired"
  /** Early in its life, because the value was doubted. */
  | "doubted";

const refreshFrom = 0.8;
const refreshSpread = 0.15;
/** A value that is asked for all the time is loaded once in this share of its time to live, on average. */
export const meanLife = refreshFrom + refreshSpread / 2;
/** The pause after a reload without an answer. */
const retryMs = 5_000;
/** Time for which a value is then served without asking: longer than the pause and a reload that runs into its limit. */
const servedStaleMs = 30_000;
/** How long a reload may take before a value that may be served without it is. */
export const patienceMs = 1_000;
/** How long a denial is repeated without asking. */
export const denialMs = 1_000;

/** The times of a value that was loaded at `at`. `random` is in [0, 1). */
export function lifetime({ ttlMs, maxStaleMs }: StaleLimits, at: number, random: number): Lifetime {
  const expiresAt = at + ttlMs;
  const refreshAt = at + ttlMs * (refreshFrom + refreshSpread * random);
  return { refreshAt, dueAt: refreshAt, expiresAt, ttlEndsAt: expiresAt, staleUntil: expiresAt + maxStaleMs };
}

export function loadReason(life: Lifetime | undefined, at: number): LoadReason {
  if (life === undefined) return "first";
  if (at < life.dueAt) return "doubted";
  return at < life.ttlEndsAt ? "refreshed" : "expired";
}

/** A reload began: there is one, and still an end. */
export function reloading(life: Lifetime): void {
  life.refreshAt = life.expiresAt;
}

/** The value is reloaded at its next use. */
export function doubted(life: Lifetime): void {
  life.refreshAt = Number.NEGATIVE_INFINITY;
}

/** The value is served on without an answer, and its reload tried again after a pause. */
export function prolonged(life: Lifetime, at: number): void {
  life.expiresAt = Math.max(life.expiresAt, Math.min(at + servedStaleMs, life.staleUntil));
  retriedLater(life, at);
}

export function retriedLater(life: Lifetime, at: number): void {
  life.refreshAt = Math.min(at + retryMs, life.expiresAt);
}

/** Whether the value is served past its time now. */
export function isStale({ expiresAt, ttlEndsAt }: Lifetime, at: number): boolean {
  return at < expiresAt && at >= ttlEndsAt;
}

/** What a failed reload makes of the value: it goes, is served all the same, or waits for another reload while the caller gets the error. */
export function afterFailure(life: Lifetime, error: unknown, at: number): "evicted" | "served" | "failed" {
  if (hasCode(error, ...refusals)) return "evicted";
  return hasCode(error, ...unanswered) && at < life.staleUntil ? "served" : "failed";
}

/** No other error is kept. Callers do not get to ask the provider again and again what it just refused. */
export function isRepeated(error: unknown, also: readonly KmsErrorCode[] = []): boolean {
  return hasCode(error, "PROVIDER_DENIED", ...also);
}

/** No answer: the present value stays right. */
const unanswered: readonly KmsErrorCode[] = ["PROVIDER_UNAVAILABLE", "STORE_UNAVAILABLE"];
/** An answer, and it is no. */
const refusals: readonly KmsErrorCode[] = [
  "PROVIDER_DENIED",
  "KEY_UNUSABLE",
  "DATA_LOSS",
  "NOT_FOUND",
  "CIPHERTEXT_REJECTED",
];
