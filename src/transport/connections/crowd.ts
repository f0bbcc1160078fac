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
  /** Whether strangers of a network are bounded beside those of all. */
  byAddress: boolean;
  now(): number;
}

/** Both ends of a connection, which its sockets above and below TLS share. */
export type Ends = Pick<Socket, "remoteAddress" | "remotePort" | "localPort">;

export interface Crowd {
  all(): Iterable<OpenConnection>;
  /** The oldest first. */
  strangers: ReadonlySet<OpenConnection>;
  of(ends: Ends): OpenConnection | undefined;
  /** Whether one more stranger of a network may come in now. */
  isOpen(network: string): boolean;
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
/** Strangers of a network at once. */
export const strangersOfNetwork = 32;
/** Time after which such a stranger makes way for the next. */
export const makesWayMs = 250;
/**
 * Strangers of a network that are new. A connection is read up to 2 MB at a time, which may be 40 ms of work, and nothing that looks at it runs
 * before the end.
 */
const newOfNetwork = 1;
/** Time for which a stranger is new. */
const newMs = 10;

export function createCrowd({ max, maxPerAddress, byAddress, now }: CrowdLimits): Crowd {
  const maxStrangers = Math.max(1, Math.floor(max * strangersShare));
  const all = new Map<string, OpenConnection>();
  const strangers = new Set<OpenConnection>();
  const ofNetwork = new Map<string, number>();
  /** The oldest first. */
  const strangersIn = new Map<string, Set<OpenConnection>>();

  function count(network: string, change: 1 | -1): void {
    const sum = (ofNetwork.get(network) ?? 0) + change;
    if (sum > 0) ofNetwork.set(network, sum);
    else ofNetwork.delete(network);
  }

  function noStranger(connection: OpenConnection): void {
    strangers.delete(connection);
    const those = strangersIn.get(connection.network);
    those?.delete(connection);
    if (those?.size === 0) strangersIn.delete(connection.network);
  }

  function isOpen(network: string): boolean {
    const those = strangersIn.get(network);
    if (!byAddress || those === undefined) return true;
    const atMs = now();
    const [oldest] = those;
    if (those.size >= strangersOfNetwork && atMs - oldest!.openedMs < makesWayMs) return false;
    const young = [...those].filter(({ openedMs }) => atMs - openedMs < newMs);
    return young.length < newOfNetwork;
  }

  return {
    isOpen,
    all: () => all.values(),
    strangers,
    of: (ends) => all.get(keyOf(ends)),
    makeRoom(network) {
      if (maxPerAddress > 0 && (ofNetwork.get(network) ?? 0) >= maxPerAddress) {
        const oldest = strangers.values().find((stranger) => stranger.network === network);
        if (oldest === undefined) return "max_per_address";
        oldest.destroy("max_per_address");
      }
      const those = strangersIn.get(network);
      if (byAddress && those !== undefined && those.size >= strangersOfNetwork) {
        const [oldest] = those;
        oldest!.destroy("max");
        return undefined;
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
      const those = strangersIn.get(network);
      if (those === undefined) strangersIn.set(network, new Set([connection]));
      else those.add(connection);
      count(network, 1);
      socket.once("close", () => {
        if (all.get(key) === connection) all.delete(key);
        noStranger(connection);
        count(network, -1);
      });
    },
    hasCaller: noStranger,
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
