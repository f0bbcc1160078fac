/** What a run says of itself. */
import type { CrashSummary } from "./summary.ts";

export function progressLine({ kills, acknowledged, checks, problems }: CrashSummary): string {
  const { token, signature, "data key": dataKey, entry, change } = acknowledged;
  const made = `${token} tokens, ${signature} signatures, ${entry} log entries, ${dataKey} data keys, ${change} changes`;
  return `${kills} kills: ${made}; ${checks} checks, ${problems.length} problems`;
}

export function summaryLines(summary: CrashSummary): string[] {
  const {
    killsAt,
    missed,
    powerCuts,
    unknownChanges,
    unknownBatches,
    opened,
    slowestStartMs,
    slowestRecoveryMs,
    problems,
  } = summary;
  const kinds = Object.entries(killsAt).sort(([a], [b]) => a.localeCompare(b));
  return [
    ...kinds.map(([name, count]) => `  ${name}: ${count}`),
    ...(missed.length > 0 ? [`never reached: ${missed.join(", ")}`] : []),
    progressLine(summary),
    ...(powerCuts.all > 0
      ? [`${powerCuts.all} power cuts, ${powerCuts.losing} of them with writes that were not synced`]
      : []),
    `${opened} times opened or verified; ${unknownChanges} changes and ${unknownBatches} batches had no answer`,
    slowestRecoveryMs > 0
      ? `slowest recovery ${Math.round(slowestRecoveryMs)} ms after the database was back`
      : `slowest start ${Math.round(slowestStartMs)} ms`,
    ...problems,
  ];
}
