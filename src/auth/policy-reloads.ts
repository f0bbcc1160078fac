/** The policy in force: read at the start, and again whenever its files change. Files that are wrong change nothing. */
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { Alarm } from "../alarm.ts";
import { type Notice, notice } from "../notices.ts";
import { inTime } from "../runtime/deadline.ts";
import type { Time } from "../runtime/time.ts";
import type { Stamps } from "../runtime/watch-files.ts";
import type { AuditStore } from "../store/audit-store.ts";
import { serviceName } from "../version.ts";
import { type InForce, type InForceParts, type KeySourceSettings, putInForce } from "./in-force.ts";
import {
  lineText,
  type PolicyFiles,
  type PolicySettings,
  policyOptions,
  readFilesForStart,
  readPolicyFiles,
} from "./policy-files.ts";
import { type WeakenedPolicies, watchWeakenings } from "./weakenings.ts";

export interface ReloadSettings extends KeySourceSettings, PolicySettings {
  readonly policyFile: string;
}

export interface ReloadParts {
  log: Logger;
  time: Time;
  /** Store in whose audit trail a policy is noted before it is in force. */
  store: Pick<AuditStore, "appendAudit">;
  alarm: Pick<Alarm, "changed">;
}

export interface PolicyReloads {
  /** The policy's files that are in force. */
  inForce(): PolicyFiles;
  /** Has `use` put other authorities into TLS before a policy is in force. It throws if they do not load. */
  trustBy(use: (files: PolicyFiles) => void): void;
  /** Has `changed` called when a policy has come into force. */
  subscribe(changed: () => void): void;
  /** Reads the policy and the files of key sets anew. */
  reload(): Promise<void>;
}

export interface StartedPolicy extends PolicyReloads {
  current(): InForce;
  /** Stamps of the files in force, and of those of a policy that is refused, perhaps because of one of them. */
  stamps(): Stamps;
  /** Reads a refused policy once more. The log and the counter hear only of another outcome. */
  retry(): Promise<void>;
  failures(): number;
  weakenings: WeakenedPolicies["counts"];
  problems(): readonly string[];
  remarks(): readonly Notice[];
}

const unnoted = "A policy is in force that could not be noted in the audit trail.";

export async function startPolicy(settings: ReloadSettings, parts: ReloadParts): Promise<StartedPolicy> {
  const { log, time, alarm } = parts;
  const { policyFile } = settings;
  const inForceParts: InForceParts = { settings, log, time, changed: alarm.changed };
  const options = () => policyOptions(settings, time.now().getTime());
  const weakened = watchWeakenings(parts);
  const refusals = noteRefusals(parts);
  const trusting: ((files: PolicyFiles) => void)[] = [];
  const subscribers: (() => void)[] = [];

  function warn({ warnings }: PolicyFiles, before: readonly string[]): void {
    for (const warning of warnings) if (!before.includes(warning)) log.warn(`the policy: ${warning}`);
  }

  const { files: first, problems: wrong, stamps: ofFirst } = readFilesForStart(policyFile, options());
  let stamps = ofFirst;
  if (first === undefined)
    throw new Error(`the policy ${policyFile} cannot be used: ${wrong.map(lineText).join("; ")}`);
  warn(first, []);
  let isNoted = await noteLoaded(first, parts);
  let notedSha256 = first.sha256;
  let current = putInForce(first, undefined, inForceParts);
  logLoaded(log, first);

  async function loadAnew(isRetry: boolean): Promise<void> {
    const { files, problems: wrong, stamps: ofRead } = readPolicyFiles(policyFile, options());
    stamps = files === undefined ? new Map([...stamps, ...ofRead]) : ofRead;
    if (files === undefined) return refusals.note(wrong.map(lineText), isRetry);
    if (files.sha256 !== notedSha256) isNoted = await noteLoaded(files, parts);
    notedSha256 = files.sha256;
    try {
      for (const use of trusting) use(files);
    } catch (error) {
      return refusals.note([`TLS does not take its authorities: ${(error as Error).message}`], isRetry);
    }
    refusals.clear();
    warn(files, current.files.warnings);
    weakened.compare(current.files.policy, files.policy);
    current = putInForce(files, current, inForceParts);
    logLoaded(log, files);
    for (const subscriber of subscribers) subscriber();
    alarm.changed();
  }

  async function load(isRetry: boolean): Promise<void> {
    await loadAnew(isRetry);
    const inFiles = current.issuers.all.filter(({ entry }) => entry.keys.from === "file");
    await Promise.all(inFiles.map(({ keys }) => keys.reload()));
  }

  let loading = Promise.resolve();
  /** One at a time, each with the files as they are after it was asked for. One that fails unforeseen leaves the next its turn. */
  function loadInTurn(isRetry: boolean): Promise<void> {
    loading = loading.then(() => load(isRetry)).catch((error) => refusals.note([String(error)], isRetry));
    return loading;
  }

  return {
    current: () => current,
    stamps: () => stamps,
    inForce: () => current.files,
    failures: refusals.failures,
    weakenings: weakened.counts,
    problems: refusals.problems,
    remarks: () => [
      ...refusals.problems().map((problem) => refused(policyFile, problem)),
      ...(isNoted ? [] : [notice("POLICY_UNNOTED", unnoted, policyFile)]),
      ...weakened.remarks(),
    ],
    trustBy: (use) => void trusting.push(use),
    subscribe: (subscriber) => void subscribers.push(subscriber),
    reload: () => loadInTurn(false),
    retry: async () => {
      if (refusals.problems().length > 0) await loadInTurn(true);
    },
  };
}

/** Refusals of a policy, while the former one stays. */
function noteRefusals({ log, alarm }: Pick<ReloadParts, "log" | "alarm">) {
  let [problems, failures]: [readonly string[], number] = [[], 0];
  return {
    problems: () => problems,
    failures: () => failures,
    /** Counts and logs a refusal. A retry that is refused for the same reasons is left out. */
    note(found: readonly string[], isRetry: boolean): void {
      if (isRetry && isDeepStrictEqual(found, problems)) return;
      failures += 1;
      problems = found;
      for (const problem of found) log.error(`the policy is not in force, and the former one is: ${problem}`);
      alarm.changed();
    },
    clear(): void {
      problems = [];
    },
  };
}

function refused(file: string, problem: string): Notice {
  const text = `The policy ${file} is not in force, and the former one is: ${problem}.`;
  return notice("POLICY_REFUSED", text, file);
}

function logLoaded(log: Logger, { sha256, policy }: PolicyFiles): void {
  log.info({ sha256, rules: policy.rules.length }, "a policy is in force");
}

/** Notes a policy in the audit trail. Resolves to false if it could not; a store that hangs delays it no longer than `inTime`. */
function noteLoaded({ sha256 }: PolicyFiles, { store, time }: ReloadParts): Promise<boolean> {
  const noted = inTime(time, store.appendAudit([loadedRow(sha256, time.now())]));
  return noted.then(
    () => true,
    () => false,
  );
}

/** Digits of the policy's hash that are the request id of its row. */
const noteDigits = 32;

function loadedRow(sha256: string, at: Date) {
  return {
    at,
    actor: serviceName,
    action: "policy_loaded" as const,
    tenantId: "",
    purpose: undefined,
    keyId: "",
    outcome: "OK",
    requestId: sha256.slice(0, noteDigits),
    count: 1,
  };
}
