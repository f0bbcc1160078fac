/** Connections on which nobody with a grant has called yet: all of them, and those of each network. */
import type { OpenConnection } from "./open-connection.ts";

export interface Strangers {
  /** The oldest first. */
  readonly all: ReadonlySet<OpenConnection>;
  add(stranger: OpenConnection): void;
  remove(stranger: OpenConnection): void;
  /** The oldest, of a network if one is given. */
  oldest(network?: string): OpenConnection | undefined;
  /** Whether a network has all that it may. */
  isFull(network: string): boolean;
  /** Whether one more of a network may come in now. */
  isOpen(network: string): boolean;
}

export interface StrangersParts {
  /** Whether strangers of a network are bounded beside those of all. */
  byAddress: boolean;
  now(): number;
}

/** Strangers of a network at once. */
export const strangersOfNetwork = 32;
/**
 * Time that the newest of a network has before the next comes in. A connection is read up to 2 MB at a time, which may be 40 ms of work, and nothing
 * looks at what it sends before the end.
 */
export const newMs = 10;

export function createStrangers({ byAddress, now }: StrangersParts): Strangers {
  const all = new Set<OpenConnection>();
  const ofNetwork = new Map<string, Set<OpenConnection>>();
  /** When the newest of each network that has some came. */
  const newest = new Map<string, number>();

  return {
    all,
    isFull: (network) => byAddress && (ofNetwork.get(network)?.size ?? 0) >= strangersOfNetwork,
    oldest: (network) => (network === undefined ? all : ofNetwork.get(network))?.values().next().value,
    add(stranger) {
      const { network } = stranger;
      all.add(stranger);
      const those = ofNetwork.get(network);
      if (those === undefined) ofNetwork.set(network, new Set([stranger]));
      else those.add(stranger);
      newest.set(network, stranger.openedMs);
    },
    remove(stranger) {
      const { network } = stranger;
      if (!all.delete(stranger)) return;
      const those = ofNetwork.get(network)!;
      those.delete(stranger);
      // It is no stranger any more: the next need not wait.
      if (newest.get(network) === stranger.openedMs) newest.delete(network);
      if (those.size === 0) ofNetwork.delete(network);
    },
    isOpen: (network) => !byAddress || Math.abs(now() - (newest.get(network) ?? Number.NEGATIVE_INFINITY)) >= newMs,
  };
}
