/**
 * Reloads that make a policy weaker, or take away most of its rules: a mistake, or somebody's first step. Each is warned of
 * in the log, stands in Status for a day, and is counted.
 */
import type { Logger } from "pino";
import { type Notice, notice } from "../notices.ts";
import type { Time } from "../runtime/time.ts";
import type { Policy } from "./policy/policy.ts";

export const weakenings = ["separation", "destruction", "rules"] as const;
export type Weakening = (typeof weakenings)[number];

export interface WeakenedPolicies {
  /** Compares the policy that comes into force with the one before. */
  compare(before: Policy, after: Policy): void;
  /** One for each kind of weakening in the last day. */
  remarks(): Notice[];
  counts(): ReadonlyMap<Weakening, number>;
}

const rememberedMs = 86_400_000;
const shown = 5;

export function watchWeakenings({ log, time }: { log: Logger; time: Time }): WeakenedPolicies {
  const counts = new Map<Weakening, number>(weakenings.map((kind) => [kind, 0]));
  const last = new Map<Weakening, { text: string; atMs: number }>();
  return {
    compare(before, after) {
      const now = time.now();
      for (const [kind, what] of weakeningsOf(before, after)) {
        counts.set(kind, counts.get(kind)! + 1);
        last.set(kind, { text: `A reload of the policy at ${now.toISOString()} ${what}.`, atMs: now.getTime() });
        log.warn({ weakening: kind }, `the policy in force ${what}`);
      }
    },
    remarks() {
      const since = time.now().getTime() - rememberedMs;
      const recent = [...last].filter(([, { atMs }]) => atMs > since);
      return recent.map(([kind, { text }]) => notice("POLICY_WEAKENED", text, kind));
    },
    counts: () => counts,
  };
}

function weakeningsOf(before: Policy, after: Policy): [Weakening, what: string][] {
  const names = new Set(after.rules.map(({ name }) => name));
  const gone = before.rules.filter(({ name }) => !names.has(name)).map(({ name }) => name);
  const found: [Weakening, string][] = [];
  if (before.separation && !after.separation) found.push(["separation", "turned separation off"]);
  if (before.twoPersonDestruction && !after.twoPersonDestruction) {
    found.push(["destruction", "lets one person have a key destroyed, where it took two"]);
  }
  if (gone.length > before.rules.length / 2) {
    const more = gone.length > shown ? ` and ${gone.length - shown} more` : "";
    const which = `${gone.slice(0, shown).join(", ")}${more}`;
    found.push(["rules", `took away ${gone.length} of ${before.rules.length} rules: ${which}`]);
  }
  return found;
}
