/** Authentication by a policy: its files, read at the start and whenever they change, and all that is in force by them. */
import type { Role } from "../call/roles.ts";
import { type CallLimitSettings, createCallLimiter } from "../limits/calls.ts";
import { createFailureLimit, type FailureLimit } from "../limits/failures.ts";
import { limitAdvice } from "../limits/notices.ts";
import type { LimitLog } from "../limits/log.ts";
import { watchFiles } from "../runtime/watch-files.ts";
import type { Notice } from "../notices.ts";
import { accessNotices } from "./notices.ts";
import { type Authenticator, createAuthenticator } from "./authenticator.ts";
import { type CallerCounts, callerCounts } from "./caller-counts.ts";
import type { Identity } from "./policy/identity.ts";
import type { InForce, KeySourceSettings } from "./in-force.ts";
import { adviceOn, type PolicyAdvice } from "./policy/advice.ts";
import { type PolicyReloads, type ReloadParts, startPolicy } from "./policy-reloads.ts";
import type { PolicySettings } from "./policy-files.ts";
import type { Weakening } from "./weakenings.ts";
import { type KeySetState, refreshMs } from "./token/issuer-keys.ts";
import { createTokenCache } from "./token/cache.ts";

export interface AuthenticationSettings extends KeySourceSettings, PolicySettings {
  readonly policyFile: string;
  readonly limits: CallLimitSettings & {
    /** Failures to prove who calls, a second and network of addresses; 0 for any number. */
    readonly failuresPerSecond: number;
  };
}

export interface AuthenticationParts extends ReloadParts {
  /** Told of each limit that acts. */
  limitLog: LimitLog;
}

export interface Authentication extends PolicyReloads {
  authenticator: Authenticator;
  /** Undefined if any number of failures is allowed. */
  failures: FailureLimit | undefined;
  /** Counted by the door. */
  seen: CallerCounts;
  remarks(): readonly Notice[];
  status(): AuthenticationStatus;
  /** What an operator should change, for Validate. */
  advice(): PolicyAdvice;
  close(): void;
}

export interface AuthenticationStatus {
  /** SHA-256 of the policy's text, in lower-case hex. */
  sha256: string;
  rules: number;
  since: Date;
  reloadFailures: number;
  /** True from a reload of the policy, or of a file of an issuer's keys, that failed, until one succeeds. */
  reloadFailed: boolean;
  rememberedTokens: number;
  /** Reloads that made the policy weaker, by kind. */
  weakenings: ReadonlyMap<Weakening, number>;
  /** Why the file as it was read last is not in force; empty where it is. */
  problems: readonly string[];
  issuers: readonly IssuerStatus[];
  /** End of the first authority of client certificates to end, in milliseconds since 1970; undefined without any. */
  authorityUntilMs: number | undefined;
  crlUntilMs: number | undefined;
  separation: boolean;
  twoPersonDestruction: boolean;
}

export interface IssuerStatus extends KeySetState {
  name: string;
  /** Time between loads of its keys, in milliseconds; undefined for keys of a file. */
  refreshMs: number | undefined;
}

/** Callers whose roles must be apart, of whom is told: more say nothing more. */
const maxMixed = 100;

/** Throws if the policy cannot be read. No issuer is needed. */
export async function startAuthentication(
  settings: AuthenticationSettings,
  parts: AuthenticationParts,
): Promise<Authentication> {
  const { log, time, alarm, limitLog } = parts;
  const policy = await startPolicy(settings, parts);
  const { current } = policy;
  const mixed = new Map<string, Role>();
  policy.subscribe(() => mixed.clear());
  const now = () => time.now().getTime();
  const isNamed = (identity: Identity) => current().loaded.grantsOf(identity).length > 0;
  const failures = createFailureLimit({ ...settings.limits, limitLog, now: time.monotonicMs });
  const tokens = createTokenCache({ issuers: () => current().issuers, isNamed, now, failures });
  const watched = watchFiles({ stamps: policy.stamps, changed: policy.reload, retry: policy.retry, time });

  const authenticator = createAuthenticator({
    loaded: () => current().loaded,
    tokens,
    now,
    limiter: createCallLimiter({ ...settings.limits, limitLog, now: time.monotonicMs }),
    mixed(name, role) {
      if (mixed.has(name) || mixed.size === maxMixed) return;
      mixed.set(name, role);
      log.error({ caller: name, role }, "rules that add up give a caller roles that the policy keeps apart");
      alarm.changed();
    },
  });

  return {
    ...policy,
    authenticator,
    failures,
    seen: callerCounts(),
    remarks: () => [...policy.remarks(), ...accessNotices(current(), mixed, time.now())],
    status() {
      const { files, issuers, since } = current();
      const { rules, separation, twoPersonDestruction } = files.policy;
      return {
        sha256: files.sha256,
        rules: rules.length,
        separation,
        twoPersonDestruction,
        since,
        problems: policy.problems(),
        reloadFailures: policy.failures(),
        weakenings: policy.weakenings(),
        rememberedTokens: tokens.size(),
        reloadFailed: policy.problems().length > 0 || issuers.all.some(hasBrokenFile),
        issuers: issuers.all.map(statusOf),
        authorityUntilMs: files.authorityUntilMs,
        crlUntilMs: files.crlUntilMs,
      };
    },
    advice() {
      const { recommendations, faults } = adviceOn(current().files.policy, settings.profile);
      return {
        recommendations: [...recommendations, ...limitAdvice(limitLog.recent())],
        faults: [...policy.remarks(), ...faults],
      };
    },
    reload: watched.read,
    close() {
      watched.close();
      for (const { keys } of current().issuers.all) keys.close();
    },
  };
}

type Issuer = InForce["issuers"]["all"][number];

function hasBrokenFile({ entry, keys }: Issuer): boolean {
  return entry.keys.from === "file" && keys.state().problem !== undefined;
}

function statusOf({ entry, keys }: Issuer): IssuerStatus {
  return { name: entry.name, ...keys.state(), refreshMs: entry.keys.from === "file" ? undefined : refreshMs };
}
