/**
 * How well the service can do its work: what is known of the providers' keys (provider-keys/watch.ts), and a look at the store every 30 s,
 * every second while something is wrong. It is remembered: a probe of readiness reads the memory, so that it costs neither a provider
 * call nor a query.
 */
import { hasCode, KmsError } from "../errors.ts";
import { type Notice, notice, type Problem } from "../notices.ts";
import type { ProviderCondition, ProviderWatch } from "../provider-keys/watch.ts";
import type { KeyCounts } from "../store/key-store.ts";
import type { Store } from "../store/store.ts";
import type { StartedAlarm } from "../alarm.ts";
import { inTime } from "../runtime/deadline.ts";
import type { Time, Timer } from "../runtime/time.ts";

export type Condition = "operational" | "degraded" | "down";

export interface HealthReport {
  status: Condition;
  /** Of the look at the provider's key, in milliseconds. */
  latencyMs: number;
  counts: KeyCounts;
  notices: readonly Notice[];
}

export interface HealthMonitor {
  current(): HealthReport;
  /** Looks now, at the providers too, and tells what it saw. */
  look(): Promise<HealthReport>;
  /** From now on the service is down: it drains. */
  drain(): void;
  /** Calls `listener` whenever the status is another than before. */
  subscribe(listener: () => void): void;
  close(): void;
}

export interface HealthParts {
  /** Heard at once, so that no part of the service waits for the next look. */
  alarm?: Pick<StartedAlarm, "listen" | "lost">;
  /** The current provider's first. */
  watches: readonly Watched[];
  /** Of all but the tenants' keys. */
  breakers?: () => readonly { name: string; state: string }[];
  /** Provider keys that are for some tenants alone. */
  tenantProviderKeys?: () => readonly TenantKeySeen[];
  store: Pick<Store, "name" | "counts" | "auditHead">;
  /** Why uses of keys cannot be audited, if they cannot. */
  auditProblem?: () => string | undefined;
  /** What other parts know to be wrong, without asking the store. A part that learns of more raises the alarm. */
  problems?: () => readonly Problem[];
  /** Findings of a look at the store that are no problems. */
  remarks?: () => Promise<readonly Notice[]>;
  /** Remarks that are known without asking the store. */
  accessRemarks?: () => readonly Notice[];
  /** Standing remarks, such as keys that a restart loses. */
  notices: readonly Notice[];
  time: Time;
  intervalMs?: number;
  /** Between looks while something is wrong. */
  retryMs?: number;
  onChange?: (status: Condition, notices: readonly Notice[]) => void;
}

export type Watched = Pick<ProviderWatch, "provider" | "current" | "look" | "subscribe">;

export interface TenantKeySeen {
  name: string;
  /** How many tenants it is for. */
  tenants: number;
  condition(): Pick<ProviderCondition, "condition" | "detail">;
}

/** What the last look at the store saw. */
interface Sight {
  counts: KeyCounts;
  problem: Problem | undefined;
}

const noCounts: KeyCounts = {
  byPurpose: { data: {}, signing: {} },
  oldestActiveAt: undefined,
  lastRotationAt: undefined,
};
const ending: Problem = { status: "down", notice: notice("SHUTTING_DOWN", "The service is shutting down.") };
const lossRememberedMs = 3_600_000;
const lossesNamed = 10;
const lossesKept = 1_000;
const tenantKeysNamed = 5;

/**
 * Starts the monitor, and looks at the store once before it resolves. It is one closure: looks, the alarm and the drain all end in
 * `publish`, which puts the report together from what each of them left.
 */
export async function startHealthMonitor(parts: HealthParts): Promise<HealthMonitor> {
  const { watches, breakers = () => [], tenantProviderKeys = () => [], store, notices, time } = parts;
  const { auditProblem = () => undefined, remarks = async () => [], onChange = () => {} } = parts;
  const { accessRemarks = () => [], intervalMs = 30_000, retryMs = 1_000 } = parts;
  const stopped = new AbortController();
  const losses = new Set<string>();
  const listeners = new Set<() => void>();
  let lastLossMs = 0;
  let draining = false;
  const unseen = notice("STORE_UNAVAILABLE", `The store ${store.name} has not been looked at yet.`, store.name);
  let sight: Sight = { counts: noCounts, problem: { status: "down", notice: unseen } };
  let report: HealthReport = { status: "down", latencyMs: 0, counts: noCounts, notices };
  let timer: Timer | undefined;
  let lookedAtMs = 0;
  let suspected = false;
  let unaudited: string | undefined;
  let remarked: readonly Notice[] = [];

  async function lookAtStore(): Promise<HealthReport> {
    lookedAtMs = time.monotonicMs();
    const [counts, head, found] = await Promise.allSettled([
      inTime(time, store.counts()),
      inTime(time, store.auditHead()),
      inTime(time, remarks()),
    ]);
    if (found.status === "fulfilled") remarked = found.value;
    const [countsFailure, headFailure] = [counts, head, found].map(failureOf);
    sight = {
      counts: counts.status === "fulfilled" ? counts.value : sight.counts,
      problem: storeProblem(store.name, headFailure, countsFailure),
    };
    return publish();
  }

  /** Remembers damage, which is no failure of the store, and tells all that listen to the alarm of it. */
  function failureOf(look: PromiseSettledResult<unknown>): unknown {
    if (look.status === "fulfilled") return undefined;
    if (!hasCode(look.reason, "DATA_LOSS")) return look.reason;
    noteLoss(look.reason.message);
    parts.alarm?.lost(look.reason.message);
    return undefined;
  }

  function problems(): Problem[] {
    const found = watches.flatMap(({ provider, current }, index) => problemOf(provider.name, current(), index === 0));
    for (const { name, state } of breakers()) {
      const text = `Calls to ${name} are paused: it does not answer.`;
      if (state !== "closed") found.push({ status: "degraded", notice: notice("PROVIDER_PAUSED", text, name) });
    }
    if (sight.problem !== undefined) found.push(sight.problem);
    return found;
  }

  function noteLoss(what: string): void {
    if (losses.size < lossesKept) losses.add(what);
    lastLossMs = time.now().getTime();
  }

  function publish(): HealthReport {
    if (losses.size > 0 && time.now().getTime() - lastLossMs >= lossRememberedMs) losses.clear();
    const before = report.status;
    const found = problems();
    unaudited = auditProblem();
    if (unaudited !== undefined) {
      const text = `No key is used, because its use could not be audited: ${unaudited}.`;
      found.push({ status: "down", notice: notice("AUDIT_UNWRITABLE", text) });
    }
    const ofKeys = [...tenantKeyNotices(tenantProviderKeys()), ...lossNotices(losses)];
    found.push(...ofKeys.map((each): Problem => ({ status: "degraded", notice: each })));
    found.push(...(parts.problems?.() ?? []));
    if (draining) found.splice(0, found.length, ending);
    const worst = found.some(({ status }) => status === "down") ? "down" : "degraded";
    report = {
      status: found.length === 0 ? "operational" : worst,
      latencyMs: watches[0]?.current().latencyMs ?? 0,
      counts: sight.counts,
      notices: [...found.map(({ notice }) => notice), ...accessRemarks(), ...remarked, ...notices],
    };
    if (report.status !== before) {
      onChange(report.status, report.notices);
      for (const listener of listeners) listener();
    }
    return report;
  }

  async function lookAgain(): Promise<void> {
    timer = undefined;
    suspected = false;
    await lookAtStore();
    const jitter = 0.9 + 0.2 * Math.random();
    lookIn(suspected || isWrong() ? retryMs : intervalMs * jitter);
  }

  /** Losses are known until an hour has passed, and no look finds them gone; nor is the store looked at for keys that are tenants' own affair. */
  function isWrong(): boolean {
    return sight.problem !== undefined || unaudited !== undefined || problems().length > 0;
  }

  function lookIn(ms: number): void {
    time.clear(timer);
    if (!stopped.signal.aborted) timer = time.after(ms, lookAgain);
  }

  function suspect(): void {
    if (auditProblem() !== unaudited) publish(); // a store that hangs may be why: no look is waited for
    if (suspected) return;
    suspected = true;
    if (timer !== undefined) lookIn(Math.max(0, lookedAtMs + retryMs - time.monotonicMs()));
  }

  function lost(what: string): void {
    const isKnown = losses.has(what);
    noteLoss(what);
    if (!isKnown) publish();
  }

  for (const each of watches) each.subscribe({ changed: () => publish() });
  const unlisten = parts.alarm?.listen({ suspect, lost, changed: () => void publish() });
  await lookAgain();
  return {
    current: () => report,
    async look() {
      await Promise.all(watches.map((each) => each.look()));
      return lookAtStore();
    },
    drain() {
      draining = true;
      publish();
    },
    subscribe: (listener) => void listeners.add(listener),
    close() {
      unlisten?.();
      stopped.abort();
      time.clear(timer);
    },
  };
}

/**
 * Calls use connections of one kind, and long reads, as the counts are, those of another (store/long-reads.ts): while these alone are held, keys
 * are used and made.
 */
function storeProblem(name: string, ofCalls: unknown, ofLongReads: unknown): Problem | undefined {
  if (ofCalls !== undefined) {
    const text = `The store ${name} does not answer: ${wordsOf(ofCalls)}.`;
    return { status: "down", notice: notice("STORE_UNAVAILABLE", text, name) };
  }
  if (ofLongReads === undefined) return undefined;
  const text = `Long reads of the store ${name} get no answer, all else does: ${wordsOf(ofLongReads)}.`;
  return { status: "degraded", notice: notice("LONG_READS_UNAVAILABLE", text, name) };
}

function problemOf(name: string, { condition, detail, lie }: ProviderCondition, isCurrent: boolean): Problem[] {
  if (condition === "answering") return [];
  const which = isCurrent ? `The provider ${name}` : `The other provider, ${name},`;
  if (condition === "unavailable") {
    const text = `${which} does not answer for its key: new keys cannot be loaded.`;
    return [{ status: "degraded", notice: notice("PROVIDER_UNAVAILABLE", text, name) }];
  }
  const found =
    lie === undefined
      ? notice("PROVIDER_DENIED", `${which} refuses its key: ${detail}.`, name)
      : notice("PROVIDER_UNTRUSTED", `${which} is ${detail}.`, name);
  return [{ status: isCurrent ? "down" : "degraded", notice: found }];
}

/** By name as many as one reads, those for the most tenants first. */
function tenantKeyNotices(keys: readonly TenantKeySeen[]): Notice[] {
  const wrong = keys
    .filter(({ tenants, condition }) => tenants > 0 && condition().condition !== "answering")
    .sort((a, b) => b.tenants - a.tenants);
  const named = wrong.slice(0, tenantKeysNamed).map(({ name, tenants, condition }) => {
    const { condition: how, detail } = condition();
    const whose = tenants === 1 ? "a tenant" : `${tenants.toLocaleString("en")} tenants`;
    const text = `The provider key ${name} of ${whose} ${how === "denied" ? "is refused" : "does not answer"}: ${detail}.`;
    return notice("TENANT_KEY_UNUSABLE", text, name);
  });
  const more = wrong.length - named.length;
  const rest = `Of ${more} more provider keys of tenants the same is to be said.`;
  return more === 0 ? named : [...named, notice("TENANT_KEY_UNUSABLE", rest)];
}

function lossNotices(losses: ReadonlySet<string>): Notice[] {
  if (losses.size === 0) return [];
  const named = [...losses].slice(0, lossesNamed).join("; ");
  const more = losses.size > lossesNamed ? `; and ${losses.size - lossesNamed} more` : "";
  return [notice("RECORD_DAMAGED", `Stored records are damaged, run fluo-kms check: ${named}${more}.`)];
}

/** Of an error of ours; another's may hold anything. */
function wordsOf(error: unknown): string {
  return error instanceof KmsError ? error.message : "internal error, see the log";
}
