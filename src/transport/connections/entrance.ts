/**
 * Where new connections wait, unread: some come in at each turn of the event loop, the networks of their addresses in turn. Those of a network that
 * is over a budget wait until it is not, and go after a while. Closed at once, clients that come back without a pause would have the service do
 * little else than accept them.
 */
import type { Socket } from "node:net";
import { loopTurns } from "../../runtime/loop-turns.ts";

export interface Entrance {
  /** Takes a connection, which is paused. `admit` is called when it may come in. */
  arrive(socket: Socket, network: string, admit: () => void): void;
  close(): void;
}

export interface EntranceParts {
  /** Whether connections of a network may come in now. */
  isOpen(network: string): boolean;
  maxWaiting: number;
  /** Told of each connection that has waited in vain. */
  gaveUp(network: string): void;
  now(): number;
}

/** Handshakes that begin in a turn of the loop: each takes half a millisecond. */
export const perTurn = 2;
export const mostWaitMs = 5_000;
const lookMs = 50;

interface Waiting {
  readonly socket: Socket;
  readonly network: string;
  readonly sinceMs: number;
  admit(): void;
}

export function createEntrance({ isOpen, maxWaiting, gaveUp, now }: EntranceParts): Entrance {
  const turns = loopTurns(perTurn);
  /** Those of networks that are over a budget, the oldest first. */
  const shut = new Set<Waiting>();
  let looking: NodeJS.Timeout | undefined;

  function wait(waiting: Waiting): void {
    if (shut.size >= maxWaiting) {
      leave(waiting);
      return;
    }
    shut.add(waiting);
    looking ??= setInterval(look, lookMs).unref();
  }

  function leave(waiting: Waiting): void {
    waiting.socket.destroy();
    gaveUp(waiting.network);
  }

  function look(): void {
    const endMs = now() - mostWaitMs;
    for (const waiting of shut) {
      const isOver = waiting.sinceMs <= endMs || waiting.socket.destroyed;
      if (!isOver && !isOpen(waiting.network)) continue;
      shut.delete(waiting);
      if (isOver) leave(waiting);
      else takeTurn(waiting);
    }
    if (shut.size > 0) return;
    clearInterval(looking);
    looking = undefined;
  }

  function takeTurn(waiting: Waiting): void {
    turns.take(waiting.network, () => {
      if (waiting.socket.destroyed) return;
      // Those before it may have used up what the network has.
      if (isOpen(waiting.network)) waiting.admit();
      else wait(waiting);
    });
  }

  return {
    arrive(socket, network, admit) {
      const ignore = () => {}; // a client that leaves meanwhile
      socket.on("error", ignore);
      const enter = () => {
        socket.off("error", ignore);
        admit();
      };
      const waiting: Waiting = { socket, network, sinceMs: now(), admit: enter };
      if (!isOpen(network)) wait(waiting);
      else if (turns.waiting() < maxWaiting) takeTurn(waiting);
      else leave(waiting);
    },
    close() {
      clearInterval(looking);
      for (const { socket } of shut) socket.destroy();
      shut.clear();
    },
  };
}
