/** Connections of servers of a test's own, bounded as by default unless the test says otherwise. */
import type { ConnectionLimitName } from "../../src/limits/log.ts";
import type { ConnectionSettings } from "../../src/limits/connection-settings.ts";
import { realTime } from "../../src/runtime/time.ts";
import { type Connections, createConnections } from "../../src/transport/connections/connections.ts";

export const connectionSettings: ConnectionSettings = {
  max: 2_000,
  maxPerAddress: 0,
  firstCallMs: 30_000,
  idleMs: 900_000,
  resetsPerSecond: 200,
  headerWorkMs: 1_000,
  byAddress: true,
};

export function testConnections(
  settings: Partial<ConnectionSettings> = {},
  acted: (limit: ConnectionLimitName, network: string, hadCaller: boolean) => void = () => {},
  time = realTime,
): Connections {
  return createConnections({ settings: { ...connectionSettings, ...settings }, acted, time });
}

/** Bounds of a test's own on a clock that the test moves, and what they did. */
export interface ClockedConnections {
  connections: Connections;
  clock: { ms: number };
  /** Limits that acted, each as `limit network`, with ` caller` if the connection had one. */
  acted: string[];
}

export function clockedConnections(settings: Partial<ConnectionSettings> = {}): ClockedConnections {
  const clock = { ms: 0 };
  const acted: string[] = [];
  const tell = (limit: ConnectionLimitName, network: string, hadCaller: boolean) =>
    void acted.push(`${limit} ${network}${hadCaller ? " caller" : ""}`);
  return { connections: testConnections(settings, tell, { ...realTime, monotonicMs: () => clock.ms }), clock, acted };
}
