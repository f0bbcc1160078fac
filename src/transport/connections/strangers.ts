/** Connections on which nobody with a grant has called yet: all of them, and those of each network. */
import type { OpenConnection } from "./open-connection.ts";

export interface Strangers {
  /** The oldest first. */
  readonly all: ReadonlySet<OpenConnection>;
  add(stranger: OpenConnection): void;
  remove(stranger: OpenConnection): void;
  /** The oldest, of a network if one is given. */
  oldest(network?: string): OpenConnection | undefined;
  /** How many a network has. */
  count(network: string): number;
  /** How many of them came so lately that nothing has looked yet at what they send. */
  newCount(network: string): number;
}

/** Time for which a stranger is new. */
export const newMs = 10;

export function createStrangers(now: () => number): Strangers {
  const all = new Set<OpenConnection>();
  const ofNetwork = new Map<string, Set<OpenConnection>>();

  return {
    all,
    oldest: (network) => (network === undefined ? all : ofNetwork.get(network))?.values().next().value,
    count: (network) => ofNetwork.get(network)?.size ?? 0,
    newCount(network) {
      const those = ofNetwork.get(network);
      if (those === undefined) return 0;
      const atMs = now();
      return [...those].filter(({ openedMs }) => atMs - openedMs < newMs).length;
    },
    add(stranger) {
      const { network } = stranger;
      all.add(stranger);
      const those = ofNetwork.get(network);
      if (those === undefined) ofNetwork.set(network, new Set([stranger]));
      else those.add(stranger);
    },
    remove(stranger) {
      const { network } = stranger;
      if (!all.delete(stranger)) return;
      const those = ofNetwork.get(network)!;
      those.delete(stranger);
      if (those.size === 0) ofNetwork.delete(network);
    },
  };
}
