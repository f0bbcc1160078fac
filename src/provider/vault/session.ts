/**
 * Requests under a token that is kept alive: renewed at about two thirds of its lease, replaced by a new login where it cannot be renewed
 * or nears its longest life, and replaced on a request that shows it to be dead. A policy's denial never logs in.
 *
 * Whoever meets a dead token shares one new login and is sent once more.
 */
import { hasCode, KmsError } from "../../errors.ts";
import { abandonOn, refuseAborted, withDeadline } from "../../runtime/deadline.ts";
import type { Time, Timer } from "../../runtime/time.ts";
import type { HttpAnswer } from "../http.ts";
import type { Provider } from "../provider.ts";
import { trackedCredential } from "../tracked-credential.ts";
import { saysDeadToken } from "./errors.ts";
import { lateAnswer, type VaultConnection, type VaultRequest } from "./http.ts";
import { canLogInAnew, ownsToken, type VaultLease } from "./login.ts";
import { sharedLogins } from "./logins.ts";
import type { VaultLogin } from "./settings.ts";

export interface VaultSession {
  /** `request` makes the request anew each time that it is sent, as a body is overwritten. */
  send(request: () => Omit<VaultRequest, "token">, signal?: AbortSignal): Promise<HttpAnswer>;
  credential: NonNullable<Provider["credential"]>;
  /** Revokes the token of an own login, for a second at most. */
  close(): Promise<void>;
}

const revokeTimeoutMs = 1_000;
const retryMs = 1_000;
const longestRetryMs = 30_000;
/** Between renewals, however short the lease. */
const shortestTimerMs = 500;
/** Longest wait of a timer. */
const longestTimerMs = 2 ** 31 - 1;

export function vaultSession(connection: VaultConnection, login: VaultLogin, time: Time): VaultSession {
  const closing = new AbortController();
  let current: VaultLease | undefined;
  let expiresAtMs = Number.POSITIVE_INFINITY;
  /** What the login gave, to see a renewal that the longest life cuts short. */
  let fullTtlMs = 0;
  let timer: Timer | undefined;
  const seen = trackedCredential(time);
  const logins = sharedLogins({
    connection,
    login,
    time,
    closing: closing.signal,
    loggedIn(lease) {
      fullTtlMs = lease.ttlMs;
      use(lease);
    },
  });

  function use(lease: VaultLease): void {
    current = lease;
    expiresAtMs = time.monotonicMs() + lease.ttlMs;
    seen.note(time.now().getTime() + lease.ttlMs);
    plan(lease.ttlMs * (2 / 3) * (1 - 0.1 * Math.random()));
  }

  function plan(delayMs: number): void {
    time.clear(timer);
    if (closing.signal.aborted || delayMs === Number.POSITIVE_INFINITY) return;
    if (!current?.renewable && !canLogInAnew(login)) return;
    timer = time.after(Math.min(Math.max(delayMs, shortestTimerMs), longestTimerMs), keepAlive);
  }

  async function keepAlive(): Promise<void> {
    const lease = current;
    try {
      if (lease !== undefined && (await renewed(lease))) return;
      if (canLogInAnew(login)) await logins.logIn();
    } catch {
      // The token may live on. When it does not, the next request says so.
      const leftMs = expiresAtMs - time.monotonicMs();
      if (leftMs > 0) plan(Math.min(Math.max(leftMs / 3, retryMs), longestRetryMs));
    }
  }

  /** False where only a new login helps: not renewable, refused, or cut short by the longest life. */
  async function renewed(lease: VaultLease): Promise<boolean> {
    if (!lease.renewable) return false;
    try {
      const next = await logins.renew(lease);
      if (current !== lease) return true;
      use(next);
      return next.ttlMs >= fullTtlMs / 2 || !canLogInAnew(login);
    } catch (error) {
      if (hasCode(error, "PROVIDER_DENIED") && canLogInAnew(login)) return false;
      throw error;
    }
  }

  return {
    async send(request, signal) {
      refuseAborted(signal);
      const first = current ?? (await abandonOn(signal, logins.logIn()))!;
      const answer = await connection.send({ ...request(), token: first.token }, signal);
      if (!saysDeadToken(answer)) return answer;
      const next = current === first ? await abandonOn(signal, logins.replace(first)) : current;
      return next === undefined ? answer : connection.send({ ...request(), token: next.token }, signal);
    },

    credential: seen.current,

    async close() {
      closing.abort(new KmsError("PROVIDER_UNAVAILABLE", "the provider vault is closed"));
      time.clear(timer);
      await logins.settled();
      if (current === undefined || !ownsToken(login)) return;
      const request = { method: "POST", path: "auth/token/revoke-self", token: current.token } as const;
      current = undefined;
      const revoke = (signal: AbortSignal) => connection.send(request, signal);
      await withDeadline(time, revokeTimeoutMs, lateAnswer, revoke).catch(() => {});
    },
  };
}
