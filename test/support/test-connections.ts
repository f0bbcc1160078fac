/** Connections of servers of a test's own, bounded as by default unless the test says otherwise. */
import type { ConnectionLimitName } from "../../src/limits/told-limits.ts";
import {
  type Connections,
  type ConnectionSettings,
  createConnections,
} from "../../src/transport/connections/connections.ts";

export const connectionSettings: ConnectionSettings = {
  ...{ max: 2_000, maxPerAddress: 0, firstCallMs: 30_000, idleMs: 900_000 },
  ...{ resetsPerSecond: 200, headerWorkMs: 1_000, byAddress: true },
};

export function testConnections(
  settings: Partial<ConnectionSettings> = {},
  acted: (limit: ConnectionLimitName, network: string, hadCaller: boolean) => void = () => {},
): Connections {
  return createConnections({ settings: { ...connectionSettings, ...settings }, acted });
}
