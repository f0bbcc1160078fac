/** Authentication by a policy: its files, read at the start and whenever they change, and all that is in force by them. */
import type { Logger } from "pino";
import type { Alarm } from "../alarm.ts";
import type { Role } from "../call/roles.ts";
import { type CallLimitSettings, createCallLimiter } from "../limits/call-limits.ts";
import { createFailureLimit, type FailureLimit } from "../limits/failure-limit.ts";
import { limitAdvice } from "../limits/limit-remarks.ts";
import type { ToldLimits } from "../limits/told-limits.ts";
import { watchFiles } from "../runtime/watch-files.ts";
import type { AuditStore } from "../store/audit-store.ts";
import { serviceName } from "../version.ts";
import { accessRemarks } from "./access-remarks.ts";
import { type Authenticator, createAuthenticator } from "./authenticator.ts";
import { type CallersSeen, countCallers } from "./callers-seen.ts";
import type { Identity } from "./policy/identity.ts";
import { type InForce, type InForceParts, type KeySourceSettings, putInForce } from "./in-force.ts";
import { adviceOn, type PolicyAdvice } from "./policy/policy-advice.ts";
import {
  lineText,
  type PolicyFiles,
  type PolicySettings,
  policyOptions,
  readFilesForStart,
  readPolicyFiles,
} from "./policy-files.ts";
import { type KeySetState, refreshMs } from "./token/issuer-keys.ts";
import { rememberTokens } from "./token/remembered.ts";
import type { Time } from "../runtime/time.ts";

export interface AuthenticationSettings extends KeySourceSettings, PolicySettings {
  readonly policyFile: string;
  readonly limits: CallLimitSettings & {
    /** Failures to prove who calls, a second and network of addresses; 0 for any number. */
    readonly failuresPerSecond: number;
  };
}

export interface AuthenticationParts {
  log: Logger;
  time: Time;
  /** Store in whose audit trail a policy is noted before it is in force. */
  store: Pick<AuditStore, "appendAudit">;
  alarm: Pick<Alarm, "changed">;
  /** Told of each limit that acts. */
  told: ToldLimits;
}

export interface Authentication extends PolicyReloads {
  authenticator: Authenticator;
  /** Undefined if any number of failures is allowed. */
  failures: FailureLimit | undefined;
  /** Counted by the door. */
  seen: CallersSeen;
  /** What an operator should know, a sentence each. */
  remarks(): readonly string[];
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
  const { log, time, alarm, told } = parts;
  const policy = await startPolicy(settings, parts);
  const { current } = policy;
  const mixed = new Map<string, Role>();
  policy.subscribe(() => mixed.clear());
  const now = () => time.now().getTime();
  const isNamed = (identity: Identity) => current().loaded.grantsOf(identity).length > 0;
  const failures = createFailureLimit({ ...settings.limits, told, now: time.monotonicMs });
  const tokens = rememberTokens({ issuers: () => current().issuers, isNamed, now, failures });
  const watched = watchFiles({ paths: () => current().files.paths, changed: () => void policy.reload(), time });

  const authenticator = createAuthenticator({
    ...{ loaded: () => current().loaded, tokens, now },
    limiter: createCallLimiter({ ...settings.limits, told, now: time.monotonicMs }),
    mixed(name, role) {
      if (mixed.has(name) || mixed.size === maxMixed) return;
      mixed.set(name, role);
      log.error({ caller: name, role }, "rules that add up give a caller roles that the policy keeps apart");
      alarm.changed();
    },
  });

  return {
    ...policy,
    ...{ authenticator, failures },
    seen: countCallers(),
    remarks: () => [...policy.remarks(), ...accessRemarks(current(), mixed, time.now())],
    status() {
      const { files, issuers, since } = current();
      const { rules, separation, twoPersonDestruction } = files.policy;
      return {
        ...{ sha256: files.sha256, rules: rules.length, separation, twoPersonDestruction, since },
        ...{ problems: policy.problems(), reloadFailures: policy.failures(), rememberedTokens: tokens.size() },
        reloadFailed: policy.problems().length > 0 || issuers.all.some(hasBrokenFile),
        issuers: issuers.all.map(statusOf),
        authorityUntilMs: files.authorityUntilMs,
        crlUntilMs: files.crlUntilMs,
      };
    },
    advice() {
      const { recommendations, faults } = adviceOn(current().files.policy, settings.profile);
      return {
        recommendations: [...recommendations, ...limitAdvice(told.recent())],
        faults: [...policy.remarks(), ...faults],
      };
    },
    reload() {
      watched.known();
      return policy.reload();
    },
    close() {
      watched.close();
      for (const { keys } of current().issuers.all) keys.close();
    },
  };
}

interface PolicyReloads {
  /** The policy's files that are in force. */
  inForce(): PolicyFiles;
  /** Has `use` put other authorities into TLS before a policy is in force. It throws if they do not load. */
  trustBy(use: (files: PolicyFiles) => void): void;
  /** Has `changed` called when a policy has come into force. */
  subscribe(changed: () => void): void;
  /** Reads the policy and the files of key sets anew. */
  reload(): Promise<void>;
}

interface StartedPolicy extends PolicyReloads {
  current(): InForce;
  failures(): number;
  problems(): readonly string[];
  remarks(): readonly string[];
}

async function startPolicy(settings: AuthenticationSettings, parts: AuthenticationParts): Promise<StartedPolicy> {
  const { log, time, alarm, store } = parts;
  const { policyFile } = settings;
  const inForceParts: InForceParts = { settings, log, time, changed: alarm.changed };
  const options = () => policyOptions(settings, time.now().getTime());
  const trusting: ((files: PolicyFiles) => void)[] = [];
  const subscribers: (() => void)[] = [];
  let [problems, unnoted, failures]: [readonly string[], boolean, number] = [[], false, 0];

  async function note({ sha256 }: PolicyFiles): Promise<void> {
    unnoted = await store.appendAudit([loadedRow(sha256, time.now())]).then(
      () => false,
      () => true,
    );
  }

  function warn({ warnings }: PolicyFiles, before: readonly string[]): void {
    for (const warning of warnings) if (!before.includes(warning)) log.warn(`the policy: ${warning}`);
  }

  const { files: first, problems: wrong } = readFilesForStart(policyFile, options());
  if (first === undefined)
    throw new Error(`the policy ${policyFile} cannot be used: ${wrong.map(lineText).join("; ")}`);
  warn(first, []);
  await note(first);
  let current = putInForce(first, undefined, inForceParts);
  logLoaded(log, first);

  /** The former policy stays. */
  function refuse(found: readonly string[]): void {
    failures += 1;
    problems = found;
    for (const problem of found) log.error(`the policy is not in force, and the former one is: ${problem}`);
    alarm.changed();
  }

  async function loadAnew(): Promise<void> {
    const { files, problems: wrong } = readPolicyFiles(policyFile, options());
    if (files === undefined) return refuse(wrong.map(lineText));
    if (files.sha256 !== current.files.sha256) await note(files);
    try {
      for (const use of trusting) use(files);
    } catch (error) {
      return refuse([`TLS does not take its authorities: ${(error as Error).message}`]);
    }
    problems = [];
    warn(files, current.files.warnings);
    current = putInForce(files, current, inForceParts);
    logLoaded(log, files);
    for (const subscriber of subscribers) subscriber();
    alarm.changed();
  }

  async function reload(): Promise<void> {
    await loadAnew();
    const inFiles = current.issuers.all.filter(({ entry }) => entry.keys.from === "file");
    await Promise.all(inFiles.map(({ keys }) => keys.reload()));
  }

  let reloading = Promise.resolve();
  return {
    current: () => current,
    inForce: () => current.files,
    failures: () => failures,
    problems: () => problems,
    remarks: () => [
      ...problems.map((problem) => `The policy ${policyFile} is not in force, and the former one is: ${problem}.`),
      ...(unnoted ? ["A policy is in force that could not be noted in the audit trail."] : []),
    ],
    trustBy: (use) => void trusting.push(use),
    subscribe: (subscriber) => void subscribers.push(subscriber),
    reload() {
      // One at a time, each with the files as they are after it was asked for. One that fails unforeseen leaves the next its turn.
      reloading = reloading.then(reload).catch((error) => refuse([String(error)]));
      return reloading;
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

function logLoaded(log: Logger, { sha256, policy }: PolicyFiles): void {
  log.info({ sha256, rules: policy.rules.length }, "a policy is in force");
}

/** Digits of the policy's hash that are the request id of its row. */
const noteDigits = 32;

function loadedRow(sha256: string, at: Date) {
  return {
    ...{ at, actor: serviceName, action: "policy_loaded" as const, tenantId: "", purpose: undefined, keyId: "" },
    ...{ outcome: "OK", requestId: sha256.slice(0, noteDigits), count: 1 },
  };
}
