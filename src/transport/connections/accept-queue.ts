/**
 * Where new connections wait, unread: some come in at each turn of the event loop, the networks of their addresses in turn. Those of a network that
 * has enough strangers, or is over a budget, wait until it has not, and go after a while. Closed at once, clients that come back without a pause
 * would have the service do little else than accept them.
 */
import type { Socket } from "node:net";
import { loopTurns } from "../../runtime/turns/loop.ts";

export interface AcceptQueue {
  /** Takes a connection, which is paused. `admit` is called when it may come in. */
  arrive(socket: Socket, network: string, admit: () => void): void;
  /** Lets in who may come in by now. */
  look(): void;
  waiting(): number;
  close(): void;
}

export interface AcceptQueueParts {
  /** Whether one more connection of a network may come in now. */
  isOpen(network: string): boolean;
  /** Whether it costs too much, and is not just one of many. */
  isShut(network: string): boolean;
  maxWaiting: number;
  /** Told of each connection that has waited in vain. */
  gaveUp(network: string): void;
  now(): number;
}

/** Handshakes that begin in a turn of the loop: each takes half a millisecond. */
export const perTurn = 2;
/** Time that a connection waits which others of its network are before; */
export const mostWaitMs = 30_000;
/** and one whose network is over a budget. */
export const shutWaitMs = 5_000;

interface Waiting {
  readonly socket: Socket;
  readonly network: string;
  /** Number by the order of arrival. */
  readonly number: number;
  readonly sinceMs: number;
  admit(): void;
}

export function createAcceptQueue({ isOpen, isShut, maxWaiting, gaveUp, now }: AcceptQueueParts): AcceptQueue {
  const turns = loopTurns(perTurn);
  /** Those that may not come in yet, by network, the oldest first. */
  const queues = new Map<string, Waiting[]>();
  let [waitingCount, arrived] = [0, 0];

  function wait(waiting: Waiting): void {
    if (waitingCount >= maxWaiting) {
      leave(waiting);
      return;
    }
    const queue = queues.get(waiting.network) ?? [];
    // One that had its turn in vain keeps its place.
    const before = queue.findLastIndex(({ number }) => number < waiting.number);
    queue.splice(before + 1, 0, waiting);
    queues.set(waiting.network, queue);
    waitingCount += 1;
  }

  function leave({ socket, network }: Waiting): void {
    socket.destroy();
    gaveUp(network);
  }

  function takeTurn(waiting: Waiting): void {
    turns.take(waiting.network, () => {
      if (waiting.socket.destroyed) return;
      // Those before it may have used up what the network has.
      if (isOpen(waiting.network)) waiting.admit();
      else wait(waiting);
    });
  }

  function lookAt(network: string, queue: Waiting[]): void {
    const endMs = now() - (isShut(network) ? shutWaitMs : mostWaitMs);
    for (let first = queue[0]; first !== undefined && first.sinceMs <= endMs; first = queue[0]) {
      leave(queue.shift()!);
      waitingCount -= 1;
    }
    if (queue.length > 0 && isOpen(network)) {
      takeTurn(queue.shift()!);
      waitingCount -= 1;
    }
    if (queue.length === 0) queues.delete(network);
  }

  return {
    arrive(socket, network, admit) {
      const ignore = () => {}; // a client that leaves meanwhile
      socket.on("error", ignore);
      const enter = () => {
        socket.off("error", ignore);
        admit();
      };
      arrived += 1;
      const waiting: Waiting = { socket, network, number: arrived, sinceMs: now(), admit: enter };
      if (queues.has(network) || !isOpen(network)) wait(waiting);
      else if (turns.waiting() < maxWaiting) takeTurn(waiting);
      else leave(waiting);
    },
    look() {
      for (const [network, queue] of queues) lookAt(network, queue);
    },
    waiting: () => waitingCount + turns.waiting(),
    close() {
      for (const { socket } of [...queues.values()].flat()) socket.destroy();
      queues.clear();
      waitingCount = 0;
    },
  };
}
