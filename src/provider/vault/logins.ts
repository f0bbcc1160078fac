/**
 * Logins, shared by all who wait for one. A login that was refused is not tried again for a second, and where it takes
 * a secret, each further time for twice as long, up to a minute: Vault locks a role out after a few (user lockout).
 */
import { hasCode, type KmsError } from "../../errors.ts";
import { withDeadline } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import { lateAnswer, type VaultConnection } from "./http.ts";
import { isAlive, logIn, renew, type VaultLease } from "./login.ts";
import type { VaultLogin } from "./settings.ts";

export interface Logins {
  /** One login at a time, whoever asks for it. */
  logIn(): Promise<VaultLease | undefined>;
  /** A new login in place of a dead token; undefined if that is alive. */
  replace(dead: VaultLease): Promise<VaultLease | undefined>;
  renew(lease: VaultLease): Promise<VaultLease>;
  /** Waits for a login that is under way. */
  settled(): Promise<void>;
}

export interface LoginParts {
  connection: VaultConnection;
  login: VaultLogin;
  time: Time;
  /** Ends what is under way. */
  closing: AbortSignal;
  /** Hears of each new lease before those who wait for it. */
  loggedIn(lease: VaultLease): void;
}

/** One login, alone or after a look at a dead token. It is no caller's time, as several callers wait for it. */
const loginTimeoutMs = 5_000;
const firstHoldMs = 1_000;
const longestHoldMs = { token: 1_000, approle: 60_000, kubernetes: 60_000 };

export function sharedLogins({ connection, login, time, closing, loggedIn }: LoginParts): Logins {
  let flight: Promise<VaultLease | undefined> | undefined;
  let refusal: { error: KmsError; untilMs: number; holdMs: number } | undefined;

  async function newLogin(signal: AbortSignal): Promise<VaultLease> {
    if (refusal !== undefined && time.monotonicMs() < refusal.untilMs) throw refusal.error;
    try {
      const lease = await logIn(connection, login, signal);
      refusal = undefined;
      loggedIn(lease);
      return lease;
    } catch (error) {
      if (hasCode(error, "PROVIDER_DENIED")) {
        const holdMs = refusal === undefined ? firstHoldMs : Math.min(2 * refusal.holdMs, longestHoldMs[login.method]);
        refusal = { error, holdMs, untilMs: time.monotonicMs() + holdMs };
      }
      throw error;
    }
  }

  function oneFlight(start: (signal: AbortSignal) => Promise<VaultLease | undefined>) {
    flight ??= withinOwnTime(start).finally(() => {
      flight = undefined;
    });
    return flight;
  }

  function withinOwnTime<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(time, loginTimeoutMs, lateAnswer, (signal) => call(AbortSignal.any([signal, closing])));
  }

  return {
    logIn: () => oneFlight(newLogin),
    replace: (dead) =>
      oneFlight(async (signal) => ((await isAlive(connection, dead, signal)) ? undefined : newLogin(signal))),
    renew: (lease) => withinOwnTime((signal) => renew(connection, lease, signal)),
    async settled() {
      await flight?.catch(() => {});
    },
  };
}
