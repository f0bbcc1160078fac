/**
 * Connections that are open, and how many there may be. One on which nobody with a grant has called is a stranger's. Where there is no room, the
 * oldest stranger goes: connections that say nothing keep no caller out.
 */
import type { ConnectionLimitName } from "../../limits/told-limits.ts";
import { type Ends, keyOf, type OpenConnection, type Protocol } from "./open-connection.ts";

export interface CrowdLimits {
  max: number;
  /** 0 for none. */
  maxPerAddress: number;
  /** Whether strangers of a network are bounded beside those of all. */
  byAddress: boolean;
  now(): number;
}

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

  /** It may have been removed before. */
  function remove(connection: OpenConnection): void {
    if (all.get(connection.key) !== connection) return;
    all.delete(connection.key);
    noStranger(connection);
    count(connection.network, -1);
  }

  /** Closes the oldest; false where there is none. */
  function evictFrom(those: ReadonlySet<OpenConnection> | undefined, limit: ConnectionLimitName): boolean {
    const oldest = those?.values().next().value;
    if (oldest === undefined) return false;
    remove(oldest);
    oldest.destroy(limit);
    return true;
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
      const those = strangersIn.get(network);
      if (maxPerAddress > 0 && (ofNetwork.get(network) ?? 0) >= maxPerAddress) {
        if (!evictFrom(those, "max_per_address")) return "max_per_address";
      } else if (byAddress && those !== undefined && those.size >= strangersOfNetwork) evictFrom(those, "max");
      if (all.size < max && strangers.size < maxStrangers) return undefined;
      return evictFrom(strangers, "max") ? undefined : "max";
    },
    add(connection) {
      const { socket, network } = connection;
      all.set(connection.key, connection);
      strangers.add(connection);
      const those = strangersIn.get(network);
      if (those === undefined) strangersIn.set(network, new Set([connection]));
      else those.add(connection);
      count(network, 1);
      socket.once("close", () => remove(connection));
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
