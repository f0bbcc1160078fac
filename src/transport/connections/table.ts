/**
 * Connections that are open, and how many there may be. Where there is no room, the oldest stranger's goes: connections that say nothing keep no
 * caller out.
 */
import type { ConnectionLimitName } from "../../limits/log.ts";
import { type Ends, keyOf, type OpenConnection, type Protocol } from "./open-connection.ts";
import { createStrangers, type Strangers } from "./strangers.ts";

export interface ConnectionTableParts {
  max: number;
  /** 0 for none. */
  maxPerAddress: number;
  /** Whether strangers of a network are bounded beside those of all. */
  byAddress: boolean;
  now(): number;
}

export interface ConnectionTable {
  /** Whether one more of a network may come in now. */
  isOpen(network: string): boolean;
  all: ReadonlySet<OpenConnection>;
  strangers: Strangers["all"];
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
/** Strangers of a network at once. */
export const strangersOfNetwork = 32;
/** Age at which the oldest of so many makes way for the next: on a busy machine a first call takes its time. */
export const makesWayMs = 5_000;
/**
 * New strangers of a network at once, where it has as many callers. Of one without callers it is one: a connection is read up to 2 MB at a time, which
 * may be 40 ms of work, and nothing looks at what it sends before the end.
 */
export const mostNew = 16;

export function createConnectionTable({ max, maxPerAddress, byAddress, now }: ConnectionTableParts): ConnectionTable {
  const maxStrangers = Math.max(1, Math.floor(max * strangersShare));
  const all = new Set<OpenConnection>();
  const byEnds = new Map<string, OpenConnection>();
  const strangers = createStrangers(now);
  const ofNetwork = new Map<string, number>();

  function count(network: string, change: 1 | -1): void {
    const sum = (ofNetwork.get(network) ?? 0) + change;
    if (sum > 0) ofNetwork.set(network, sum);
    else ofNetwork.delete(network);
  }

  /** It may have been removed before. */
  function remove(connection: OpenConnection): void {
    if (!all.delete(connection)) return;
    // A client may be back from the same port already.
    if (byEnds.get(connection.key) === connection) byEnds.delete(connection.key);
    strangers.remove(connection);
    count(connection.network, -1);
  }

  /** False where there is none to close. */
  function evict(stranger: OpenConnection | undefined, limit: ConnectionLimitName): boolean {
    if (stranger === undefined) return false;
    remove(stranger);
    stranger.destroy(limit);
    return true;
  }

  return {
    isOpen(network) {
      const oldest = strangers.oldest(network);
      if (!byAddress || oldest === undefined) return true;
      if (strangers.count(network) >= strangersOfNetwork && now() - oldest.openedMs < makesWayMs) return false;
      const callers = (ofNetwork.get(network) ?? 0) - strangers.count(network);
      return strangers.newCount(network) < Math.min(mostNew, 1 + callers);
    },
    strangers: strangers.all,
    all,
    of: (ends) => byEnds.get(keyOf(ends)),
    makeRoom(network) {
      if (maxPerAddress > 0 && (ofNetwork.get(network) ?? 0) >= maxPerAddress) {
        if (!evict(strangers.oldest(network), "max_per_address")) return "max_per_address";
      } else if (byAddress && strangers.count(network) >= strangersOfNetwork) evict(strangers.oldest(network), "max");
      if (all.size < max && strangers.all.size < maxStrangers) return undefined;
      return evict(strangers.oldest(), "max") ? undefined : "max";
    },
    add(connection) {
      all.add(connection);
      byEnds.set(connection.key, connection);
      strangers.add(connection);
      count(connection.network, 1);
      connection.socket.once("close", () => remove(connection));
    },
    hasCaller: strangers.remove,
    isCrowded: () => all.size > max * crowdedShare || strangers.all.size > maxStrangers * crowdedShare,
    counts: () => countsOf([...all]),
  };
}

function countsOf(connections: readonly OpenConnection[]): ReturnType<ConnectionTable["counts"]> {
  const count = (protocol: Protocol, isCaller: boolean) =>
    connections.filter((each) => each.protocol === protocol && each.hasCaller() === isCaller).length;
  return (["grpc", "http"] as const).flatMap((protocol) => [
    { protocol, state: "caller" as const, count: count(protocol, true) },
    { protocol, state: "stranger" as const, count: count(protocol, false) },
  ]);
}
