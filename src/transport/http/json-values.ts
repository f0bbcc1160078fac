/** Times, durations and counts as the JSON of the administrative answers has them. */
import { type Duration, durationMs, type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";

export function numbers(counts: Readonly<Record<string, bigint>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Number(count)]));
}

export function dateText(timestamp: Timestamp | undefined): string | null {
  return timestamp ? timestampDate(timestamp).toISOString() : null;
}

export function seconds(duration: Duration | undefined): number {
  return duration ? durationMs(duration) / 1000 : 0;
}

/** Sub-millisecond latencies keep three digits, so that a cache hit does not read as 0. */
export function roundMs(ms: number): number {
  return ms < 10 ? Math.round(ms * 1000) / 1000 : Math.round(ms);
}
