/** Open connections, and what the limits of calls and connections did. */
import { callLimits, connectionLimits, type LimitName, type LimitLog } from "../limits/log.ts";
import type { Connections } from "../transport/connections/connections.ts";
import type { Observer, Read } from "./read-metrics.ts";

export interface ConnectionParts {
  limitLog: Pick<LimitLog, "counts">;
  connections: Pick<Connections, "open" | "resets">;
}

export function observeConnections({ gauge, counter }: Observer, { limitLog, connections }: ConnectionParts): void {
  const acted =
    (limits: readonly LimitName[]): Read =>
    () => {
      const counts = limitLog.counts();
      return limits.map((limit) => [counts[limit], { limit }]);
    };
  counter("kms_limited_total", "Times a limit of calls made somebody wait, by limit", acted(callLimits));
  counter("kms_connections_closed_total", "Connections closed by a limit", acted(connectionLimits));
  counter("kms_stream_resets_total", "Streams that clients reset", () => connections.resets());
  gauge("kms_connections", "Open connections", () =>
    connections.open().map(({ count, ...labels }) => [count, labels] as const),
  );
}
