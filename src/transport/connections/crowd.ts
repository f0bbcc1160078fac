/**
 * Connections that are open, and how many there may be. One on which nobody with a grant has called is a stranger's. Where there is no room, the
 * oldest stranger goes: connections that say nothing keep no caller out.
 */
import type { Socket } from "node:net";
import type { ConnectionLimitName } from "../../limits/told-limits.ts";
import type { OpenConnection, Protocol } from "./open-connection.ts";

export interface CrowdLimits {
  max: number;
  /** 0 for none. */
  maxPerAddress: number;
}

/** Both ends of a connection, which its sockets above and below TLS share. */
export type Ends = Pick<Socket, "remoteAddress" | "remotePort" | "localPort">;

export interface Crowd {
  all(): Iterable<OpenConnection>;
  /** The oldest first. */
  strangers: ReadonlySet<OpenConnection>;
  of(ends: Ends): OpenConnection | undefined;
  /** Makes room for one more; gives the limit by which there is none. */
  makeRoom(network: string): ConnectionLimitName | undefined;
  /** It is one of them until its socket closes. */
  add(connection: OpenConnection): void;
  /** It is no stranger's any more. */
  hasCaller(connection: OpenConnection): void;
  /** Whether strangers should hurry. */
  isCrowded(): boolean;
  counts(): { protocol: Protocol; state: "caller" | "stranger"; count: number }[];
}

/** Part of all that may be open which strangers may have: each costs 85 KB, with TLS and HTTP/2. */
export const strangersShare = 0.25;
/** Part of either above which strangers have less time to call. */
const crowdedShare = 0.5;

export function createCrowd({ max, maxPerAddress }: CrowdLimits): Crowd {
  const maxStrangers = Math.max(1, Math.floor(max * strangersShare));
  const all = new Map<string, OpenConnection>();
  const strangers = new Set<OpenConnection>();
  const ofNetwork = new Map<string, number>();

  function count(network: string, change: 1 | -1): void {
    const sum = (ofNetwork.get(network) ?? 0) + change;
    if (sum > 0) ofNetwork.set(network, sum);
    else ofNetwork.delete(network);
  }

  return {
    all: () => all.values(),
    strangers,
    of: (ends) => all.get(keyOf(ends)),
    makeRoom(network) {
      if (maxPerAddress > 0 && (ofNetwork.get(network) ?? 0) >= maxPerAddress) {
        const oldest = strangers.values().find((stranger) => stranger.network === network);
        if (oldest === undefined) return "max_per_address";
        oldest.destroy("max_per_address");
      }
      if (all.size < max && strangers.size < maxStrangers) return undefined;
      const [oldest] = strangers;
      if (oldest === undefined) return "max";
      oldest.destroy("max");
      return undefined;
    },
    add(connection) {
      const { socket, network } = connection;
      const key = keyOf(socket);
      all.set(key, connection);
      strangers.add(connection);
      count(network, 1);
      socket.once("close", () => {
        if (all.get(key) === connection) all.delete(key);
        strangers.delete(connection);
        count(network, -1);
      });
    },
    hasCaller: (connection) => void strangers.delete(connection),
    isCrowded: () => all.size > max * crowdedShare || strangers.size > maxStrangers * crowdedShare,
    counts: () =>
      (["grpc", "http"] as const).flatMap((protocol) =>
        (["caller", "stranger"] as const).map((state) => {
          const isStranger = state === "stranger";
          const those = [...all.values()].filter(
            (each) => each.protocol === protocol && each.hasCaller() !== isStranger,
          );
          return { protocol, state, count: those.length };
        }),
      ),
  };
}

function keyOf({ remoteAddress, remotePort, localPort }: Ends): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}
