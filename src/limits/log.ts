/** Limits that acted, and on whom: counted, logged at most once in 10 s for each limit, and remembered for 10 min. */

/** Limits of calls, as the metric `kms_limited_total` names them. */
export const callLimits = ["caller", "tenant", "failures"] as const;
export type CallLimitName = (typeof callLimits)[number];
/** Limits of connections, as `kms_connections_closed_total` names them. */
export const connectionLimits = [
  "max",
  "max_per_address",
  "first_call",
  "idle",
  "resets",
  "header_work",
  "bodies",
] as const;
export type ConnectionLimitName = (typeof connectionLimits)[number];
export type LimitName = CallLimitName | ConnectionLimitName;
/** Limits that no setting raises. */
export const fixedLimits: readonly LimitName[] = ["first_call", "resets", "header_work", "bodies"];

export interface LimitedBy {
  /** Name of a caller or tenant, or a network address. */
  who: string;
  /** What an operator changes or looks at: a setting, the limit of a rule, a fixed limit. Without it nobody is remarked upon. */
  by?: string | undefined;
  /** Whether the log says nothing of it, since it is nothing to look into. */
  quiet?: boolean;
}

export interface ActedLimit {
  readonly limit: LimitName;
  readonly who: string;
  readonly by: string;
}

export interface LimitLog {
  acted(limit: LimitName, limited: LimitedBy): void;
  /** How often each limit has acted. */
  counts(): Readonly<Record<LimitName, number>>;
  /** Limits with a `by` that acted in the last 10 min, in the order in which each did first. */
  recent(): readonly ActedLimit[];
}

export interface LimitLogParts {
  /** Receives the fields of a log line. */
  log(line: LimitLine): void;
  /** Told when a limit acts on somebody on whom it did not in the last 10 min. */
  changed?: () => void;
  /** Monotonic, in milliseconds. */
  now: () => number;
}

export interface LimitLine {
  limit: LimitName;
  /** Those on whom it acted since the line before, most often first, each with its number of times. */
  who: string[];
  times: number;
}

export const lineMs = 10_000;
export const recentMs = 600_000;
/** Names that are told apart, of a limit between two lines and of all in the last 10 min. */
export const maxNames = 100;
const shown = 5;

interface SinceLine {
  untilMs: number;
  times: number;
  readonly who: Map<string, number>;
}

export function createLimitLog({ log, changed = () => {}, now }: LimitLogParts): LimitLog {
  const counts = Object.fromEntries([...callLimits, ...connectionLimits].map((limit) => [limit, 0])) as Record<
    LimitName,
    number
  >;
  const lines = new Map<LimitName, SinceLine>();
  const recent = new Map<string, ActedLimit & { lastMs: number }>();

  function remember(limit: LimitName, who: string, by: string): void {
    const key = `${limit} ${by} ${who}`;
    const lastMs = now();
    const known = recent.get(key);
    if (known) known.lastMs = lastMs;
    else if (recent.size < maxNames) {
      recent.set(key, { limit, who, by, lastMs });
      changed();
    }
  }

  return {
    acted(limit, { who, by, quiet = false }) {
      counts[limit] += 1;
      if (by !== undefined) remember(limit, who, by);
      if (quiet) return;
      let since = lines.get(limit);
      if (since === undefined) {
        since = { untilMs: Number.NEGATIVE_INFINITY, times: 0, who: new Map() };
        lines.set(limit, since);
      }
      since.times += 1;
      if (since.who.size < maxNames || since.who.has(who)) since.who.set(who, (since.who.get(who) ?? 0) + 1);
      if (now() < since.untilMs) return;
      log({ limit, who: mostOften(since.who), times: since.times });
      lines.set(limit, { untilMs: now() + lineMs, times: 0, who: new Map() });
    },
    counts: () => counts,
    recent() {
      for (const [key, { lastMs }] of recent) if (now() - lastMs >= recentMs) recent.delete(key);
      return [...recent.values()].map(({ limit, who, by }) => ({ limit, who, by }));
    },
  };
}

function mostOften(who: ReadonlyMap<string, number>): string[] {
  const all = [...who].sort(([, a], [, b]) => b - a).slice(0, shown);
  return all.map(([name, times]) => `${name} (${times})`);
}
