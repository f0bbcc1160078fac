/**
 * Requests under a token that is kept alive: renewed at about two thirds of its lease, replaced by a new login where it cannot be renewed
 * or nears its longest life, and replaced on a request that shows it to be dead. A policy's denial never logs in.
 *
 * Whoever meets a dead token shares one new login and is sent once more. A login that was refused is not tried again for a second, and
 * where it takes a secret, each further time for twice as long, up to a minute: Vault locks a role out after a few (user lockout).
 */
import { hasCode, KmsError } from "../../errors.ts";
import { abandonOn, refuseAborted, withDeadline } from "../../runtime/deadline.ts";
import type { VaultLogin } from "./settings.ts";
import type { HttpAnswer } from "../http.ts";
import { saysDeadToken } from "./errors.ts";
import { lateAnswer, type VaultConnection, type VaultRequest } from "./http.ts";
import { canLogInAnew, isAlive, logIn, ownsToken, renew, type VaultLease } from "./login.ts";

export interface VaultSession {
  /** `request` makes the request anew each time that it is sent, as a body is overwritten. */
  send(request: () => Omit<VaultRequest, "token">, signal?: AbortSignal): Promise<HttpAnswer>;
  /** Revokes the token of an own login, for a second at most. */
  close(): Promise<void>;
}

/** Of a login, alone or with the look at a dead token before: not a caller's, as several wait for it. */
const loginTimeoutMs = 5_000;
const revokeTimeoutMs = 1_000;
const firstHoldMs = 1_000;
const longestHoldMs = { token: 1_000, approle: 60_000, kubernetes: 60_000 };
const retryMs = 1_000;
const longestRetryMs = 30_000;
/** Between renewals, however short the lease. */
const shortestTimerMs = 500;
/** setTimeout takes no more. */
const longestTimerMs = 2 ** 31 - 1;

export function vaultSession(connection: VaultConnection, login: VaultLogin): VaultSession {
  const closing = new AbortController();
  let current: VaultLease | undefined;
  let expiresAtMs = Number.POSITIVE_INFINITY;
  /** What the login gave, to see a renewal that the longest life cuts short. */
  let fullTtlMs = 0;
  let flight: Promise<VaultLease | undefined> | undefined;
  let refusal: { error: KmsError; untilMs: number; holdMs: number } | undefined;
  let timer: NodeJS.Timeout | undefined;

  function use(lease: VaultLease): VaultLease {
    current = lease;
    expiresAtMs = performance.now() + lease.ttlMs;
    plan(lease.ttlMs * (2 / 3) * (1 - 0.1 * Math.random()));
    return lease;
  }

  function plan(delayMs: number): void {
    clearTimeout(timer);
    if (closing.signal.aborted || delayMs === Number.POSITIVE_INFINITY) return;
    if (!current?.renewable && !canLogInAnew(login)) return;
    timer = setTimeout(keepAlive, Math.min(Math.max(delayMs, shortestTimerMs), longestTimerMs)).unref();
  }

  async function keepAlive(): Promise<void> {
    const lease = current;
    try {
      if (lease !== undefined && (await renewed(lease))) return;
      if (canLogInAnew(login)) await oneFlight(newLogin);
    } catch {
      // The token may live on. When it does not, the next request says so.
      const leftMs = expiresAtMs - performance.now();
      if (leftMs > 0) plan(Math.min(Math.max(leftMs / 3, retryMs), longestRetryMs));
    }
  }

  /** False where only a new login helps: not renewable, refused, or cut short by the longest life. */
  async function renewed(lease: VaultLease): Promise<boolean> {
    if (!lease.renewable) return false;
    try {
      const next = await withinOwnTime((signal) => renew(connection, lease, signal));
      if (current !== lease) return true;
      use(next);
      return next.ttlMs >= fullTtlMs / 2 || !canLogInAnew(login);
    } catch (error) {
      if (hasCode(error, "PROVIDER_DENIED") && canLogInAnew(login)) return false;
      throw error;
    }
  }

  async function newLogin(signal: AbortSignal): Promise<VaultLease> {
    if (refusal !== undefined && performance.now() < refusal.untilMs) throw refusal.error;
    try {
      const lease = await logIn(connection, login, signal);
      refusal = undefined;
      fullTtlMs = lease.ttlMs;
      return use(lease);
    } catch (error) {
      if (hasCode(error, "PROVIDER_DENIED")) {
        const holdMs = refusal === undefined ? firstHoldMs : Math.min(2 * refusal.holdMs, longestHoldMs[login.method]);
        refusal = { error, holdMs, untilMs: performance.now() + holdMs };
      }
      throw error;
    }
  }

  /** Undefined where `dead` is alive. */
  async function replaced(dead: VaultLease, signal: AbortSignal): Promise<VaultLease | undefined> {
    return (await isAlive(connection, dead, signal)) ? undefined : newLogin(signal);
  }

  /** One login at a time, whoever asks for it. */
  function oneFlight<T extends VaultLease | undefined>(start: (signal: AbortSignal) => Promise<T>) {
    flight ??= withinOwnTime(start).finally(() => {
      flight = undefined;
    });
    return flight;
  }

  function withinOwnTime<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(loginTimeoutMs, lateAnswer, (signal) => call(AbortSignal.any([signal, closing.signal])));
  }

  async function lease(signal: AbortSignal | undefined): Promise<VaultLease> {
    if (current !== undefined) return current;
    return (await abandonOn(signal, oneFlight(newLogin)))!;
  }

  return {
    async send(request, signal) {
      refuseAborted(signal);
      const first = await lease(signal);
      const answer = await connection.send({ ...request(), token: first.token }, signal);
      if (!saysDeadToken(answer)) return answer;
      const next =
        current === first
          ? await abandonOn(
              signal,
              oneFlight((within) => replaced(first, within)),
            )
          : current;
      return next === undefined ? answer : connection.send({ ...request(), token: next.token }, signal);
    },

    async close() {
      closing.abort(new KmsError("PROVIDER_UNAVAILABLE", "the provider vault is closed"));
      clearTimeout(timer);
      await flight?.catch(() => {});
      if (current === undefined || !ownsToken(login)) return;
      const { token } = current;
      current = undefined;
      const revoke = { method: "POST", path: "auth/token/revoke-self", token } as const;
      await withDeadline(revokeTimeoutMs, lateAnswer, (signal) => connection.send(revoke, signal)).catch(() => {});
    },
  };
}
