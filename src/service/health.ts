/**
 * How well the service can do its work, looked at every 30 s, and every second while something is wrong, and remembered: a probe of
 * readiness reads the memory, so that it costs neither a provider call nor a query. A look describes the provider's key, which costs
 * no cryptographic operation.
 */
import { KmsError } from "../errors.ts";
import type { Provider } from "../provider/provider.ts";
import type { KeyCounts, Store } from "../store/store.ts";
import { inTime } from "./in-time.ts";

export type Condition = "operational" | "degraded" | "down";

export interface HealthReport {
  status: Condition;
  /** Of the look at the provider's key, in milliseconds. */
  latencyMs: number;
  counts: KeyCounts;
  /** What an operator should know, one sentence each. */
  notices: readonly string[];
}

export interface HealthMonitor {
  current(): HealthReport;
  /** Looks now, and tells what it saw. */
  look(): Promise<HealthReport>;
  /** From now on the service is down: it drains. */
  drain(): void;
  stop(): void;
}

/** What those who use the parts tell the monitor, so that it need not wait for its next look. */
export interface HealthAlarm {
  /** A call failed as if the store were gone: looks soon, at most once a second however often it is called. */
  suspect(): void;
  /** A stored record is damaged; `what` names it. The service is degraded until an hour passes without another. */
  lost(what: string): void;
}

export interface HealthParts {
  provider: Provider;
  store: Pick<Store, "name" | "counts">;
  /** Why uses of keys cannot be audited, if they cannot. */
  auditProblem?: () => string | undefined;
  /** Standing remarks, such as keys that a restart loses. */
  notices: readonly string[];
  clock?: () => Date;
  intervalMs?: number;
  /** Between looks while something is wrong. */
  retryMs?: number;
  onChange?: (status: Condition, notices: readonly string[]) => void;
}

/** What the last look saw. */
type Sight = Omit<HealthReport, "notices"> & { problems: string[] };

const noCounts: KeyCounts = {
  byPurpose: { data: {}, signing: {} },
  oldestActiveAt: undefined,
  lastRotationAt: undefined,
};
const lossRememberedMs = 3_600_000;
const lossesNamed = 10;
const lossesKept = 1_000;

export async function startHealthMonitor(parts: HealthParts): Promise<HealthMonitor & HealthAlarm> {
  const { provider, store, notices, clock = () => new Date(), onChange = () => {} } = parts;
  const { auditProblem = () => undefined, intervalMs = 30_000, retryMs = 1_000 } = parts;
  const stopped = new AbortController();
  const losses = new Set<string>();
  let lastLossMs = 0;
  let draining = false;
  let sight: Sight = { status: "down", latencyMs: 0, counts: noCounts, problems: [] };
  let report: HealthReport = { ...sight, notices };
  let timer: NodeJS.Timeout | undefined;
  let lookedAtMs = 0;
  let suspected = false;
  let unaudited: string | undefined;

  async function look(): Promise<HealthReport> {
    lookedAtMs = performance.now();
    const [key, counts] = await Promise.allSettled([provider.describe(stopped.signal), inTime(store.counts())]);
    const latencyMs = performance.now() - lookedAtMs;
    const problems: string[] = [];
    let status: Condition = "operational";
    if (key.status === "rejected") {
      status = hasCode(key.reason, "PROVIDER_DENIED") ? "down" : "degraded";
      problems.push(`The provider ${provider.name} does not answer for its key: new keys cannot be loaded.`);
    } else if (key.value.state !== "enabled") {
      status = "down";
      problems.push(`The provider's key is ${key.value.detail}: enable it, or restore it.`);
    }
    if (counts.status === "rejected" && hasCode(counts.reason, "DATA_LOSS")) {
      noteLoss(counts.reason.message);
    } else if (counts.status === "rejected") {
      status = "down";
      problems.push(`The store ${store.name} does not answer: ${wordsOf(counts.reason)}.`);
    }
    const seen = counts.status === "fulfilled" ? counts.value : report.counts;
    sight = { status, latencyMs, counts: seen, problems };
    return publish();
  }

  function noteLoss(what: string): void {
    if (losses.size < lossesKept) losses.add(what);
    lastLossMs = clock().getTime();
  }

  function publish(): HealthReport {
    if (losses.size > 0 && clock().getTime() - lastLossMs >= lossRememberedMs) losses.clear();
    const { problems, ...seen } = sight;
    const before = report.status;
    unaudited = auditProblem();
    const whyUnused =
      unaudited === undefined ? [] : [`No key is used, because its use could not be audited: ${unaudited}.`];
    report = { ...seen, notices: [...problems, ...whyUnused, ...lossNotices(losses), ...notices] };
    if (unaudited !== undefined) report.status = "down";
    if (losses.size > 0 && report.status === "operational") report.status = "degraded";
    if (draining) report = { ...report, status: "down", notices: ["The service is shutting down.", ...notices] };
    if (report.status !== before) onChange(report.status, report.notices);
    return report;
  }

  async function lookAgain(): Promise<void> {
    timer = undefined;
    suspected = false;
    await look();
    const jitter = 0.9 + 0.2 * Math.random();
    lookIn(suspected || sight.status !== "operational" || unaudited !== undefined ? retryMs : intervalMs * jitter);
  }

  function lookIn(ms: number): void {
    clearTimeout(timer);
    if (!stopped.signal.aborted) timer = setTimeout(lookAgain, ms).unref();
  }

  await lookAgain();
  return {
    current: () => report,
    look,
    suspect() {
      if (auditProblem() !== unaudited) publish(); // a store that hangs may be why: no look is waited for
      if (suspected) return;
      suspected = true;
      if (timer !== undefined) lookIn(Math.max(0, lookedAtMs + retryMs - performance.now()));
    },
    lost(what) {
      const isKnown = losses.has(what);
      noteLoss(what);
      if (!isKnown) publish();
    },
    drain() {
      draining = true;
      publish();
    },
    stop() {
      stopped.abort();
      clearTimeout(timer);
    },
  };
}

function lossNotices(losses: ReadonlySet<string>): string[] {
  if (losses.size === 0) return [];
  const named = [...losses].slice(0, lossesNamed).join("; ");
  const more = losses.size > lossesNamed ? `; and ${losses.size - lossesNamed} more` : "";
  return [`Stored records are damaged, run fluo-kms check: ${named}${more}.`];
}

function hasCode(error: unknown, code: KmsError["code"]): error is KmsError {
  return error instanceof KmsError && error.code === code;
}

/** Of an error of ours; another's may hold anything. */
function wordsOf(error: unknown): string {
  return error instanceof KmsError ? error.message : "internal error, see the log";
}
