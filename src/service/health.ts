/**
 * How well the service can do its work, looked at every 30 s and remembered: a probe of readiness reads the memory, so that
 * it costs neither a provider call nor a query. A look describes the provider's key, which costs no cryptographic operation.
 */
import { setTimeout as delay } from "node:timers/promises";
import { KmsError } from "../errors.ts";
import type { Provider } from "../provider/provider.ts";
import type { KeyCounts, Store } from "../store/store.ts";

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

export interface HealthParts {
  provider: Provider;
  store: Store;
  /** Standing remarks, such as keys that a restart loses. */
  notices: readonly string[];
  intervalMs?: number;
  onChange?: (status: Condition) => void;
}

const noCounts: KeyCounts = {
  byPurpose: { data: {}, signing: {} },
  oldestActiveAt: undefined,
  lastRotationAt: undefined,
};

export async function startHealthMonitor(parts: HealthParts): Promise<HealthMonitor> {
  const { provider, store, notices, intervalMs = 30_000, onChange = () => {} } = parts;
  const stopped = new AbortController();
  let draining = false;
  let report: HealthReport = { status: "down", latencyMs: 0, counts: noCounts, notices };

  async function look(): Promise<HealthReport> {
    const startedMs = performance.now();
    const [key, counts] = await Promise.allSettled([provider.describe(stopped.signal), store.counts()]);
    const problems: string[] = [];
    let status: Condition = "operational";
    if (key.status === "rejected") {
      status = isDenial(key.reason) ? "down" : "degraded";
      problems.push(`The provider ${provider.name} does not answer for its key: new keys cannot be loaded.`);
    } else if (key.value.state !== "enabled") {
      status = "down";
      problems.push(`The provider's key is ${key.value.detail}: enable it, or restore it.`);
    }
    if (counts.status === "rejected") {
      status = "down";
      problems.push(`The store ${store.name} does not answer.`);
    }
    const latencyMs = performance.now() - startedMs;
    const seen = counts.status === "fulfilled" ? counts.value : report.counts;
    return set({ status, latencyMs, counts: seen, notices: [...problems, ...notices] });
  }

  function set(next: HealthReport): HealthReport {
    const before = report.status;
    report = draining ? { ...next, status: "down", notices: ["The service is shutting down.", ...notices] } : next;
    if (report.status !== before) onChange(report.status);
    return report;
  }

  async function watch(): Promise<void> {
    for (;;) {
      const jitter = 0.9 + 0.2 * Math.random();
      await delay(intervalMs * jitter, undefined, { ref: false, signal: stopped.signal });
      await look();
    }
  }

  await look();
  watch().catch(() => {}); // ends when it is stopped
  return {
    current: () => report,
    look,
    drain() {
      draining = true;
      set(report);
    },
    stop: () => stopped.abort(),
  };
}

function isDenial(error: unknown): boolean {
  return error instanceof KmsError && error.code === "PROVIDER_DENIED";
}
