/**
 * Requests under a token that is kept alive: renewed at about two thirds of its lease, replaced by a new login where it cannot be renewed
 * or nears its longest life, and replaced on a request that shows it to be dead. A policy's denial never logs in.
 *
 * Whoever meets a dead token shares one new login and is sent once more.
 */
import { hasCode, KmsError } from "../../errors.ts";
import { abandonOn, refuseAborted, withDeadline } from "../../runtime/deadline.ts";
import type { HttpAnswer } from "../http.ts";
import { saysDeadToken } from "./errors.ts";
import { lateAnswer, type VaultConnection, type VaultRequest } from "./http.ts";
import { canLogInAnew, ownsToken, type VaultLease } from "./login.ts";
import { sharedLogins } from "./logins.ts";
import type { VaultLogin } from "./settings.ts";
import type { Provider } from "../provider.ts";
import { seenCredential } from "../seen-credential.ts";

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
/** setTimeout takes no more. */
const longestTimerMs = 2 ** 31 - 1;

export function vaultSession(connection: VaultConnection, login: VaultLogin): VaultSession {
  const closing = new AbortController();
  let current: VaultLease | undefined;
  let expiresAtMs = Number.POSITIVE_INFINITY;
  /** What the login gave, to see a renewal that the longest life cuts short. */
  let fullTtlMs = 0;
  let timer: NodeJS.Timeout | undefined;
  const seen = seenCredential();
  const logins = sharedLogins({
    ...{ connection, login, closing: closing.signal },
    loggedIn(lease) {
      fullTtlMs = lease.ttlMs;
      use(lease);
    },
  });

  function use(lease: VaultLease): void {
    current = lease;
    expiresAtMs = performance.now() + lease.ttlMs;
    seen.note(Date.now() + lease.ttlMs);
    plan(lease.ttlMs * (2 / 3) * (1 - 0.1 * Math.random()));
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
      if (canLogInAnew(login)) await logins.logIn();
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
      clearTimeout(timer);
      await logins.settled();
      if (current === undefined || !ownsToken(login)) return;
      const { token } = current;
      current = undefined;
      const revoke = { method: "POST", path: "auth/token/revoke-self", token } as const;
      await withDeadline(revokeTimeoutMs, lateAnswer, (signal) => connection.send(revoke, signal)).catch(() => {});
    },
  };
}
