/**
 * Memory that bodies of HTTP/1.1 share until they are whole. Where one finds no room, the oldest of those that have taken their time are given up:
 * clients that send a byte now and then cannot fill the memory, however many connections they have.
 */
import { KmsError } from "../../errors.ts";

export interface BodyBudget {
  /** Lets a body in. `giveUp` is called with an error where others need its room. Throws OVERLOADED where there is none for another. */
  enter(giveUp: (error: Error) => void): Arriving;
}

export interface Arriving {
  /** Counts a chunk. Throws OVERLOADED where there is no room for it. */
  take(bytes: number): void;
  leave(): void;
}

export const maxBodyBytes = 32 * 1024 * 1024;
/** Time in which a body arrives that nobody waits for; it is slow then. */
export const slowMs = 1_000;
/** What a chunk costs, about, beside its bytes; */
export const chunkCost = 256;
/** and a body, with its request and its connection. */
export const bodyCost = 96 * 1024;

interface Body {
  bytes: number;
  readonly sinceMs: number;
  giveUp(error: Error): void;
}

/** `now` is monotonic; `each` is what a body costs beside its bytes. */
export function createBodyBudget(now: () => number, limit = maxBodyBytes, each = bodyCost): BodyBudget {
  /** The oldest first. */
  const bodies = new Set<Body>();
  let held = 0;

  function leave(body: Body): void {
    if (bodies.delete(body)) held -= body.bytes;
  }

  function makeRoom(needed: number, asking: Body): void {
    const endMs = now() - slowMs;
    for (const body of bodies) {
      if (held + needed <= limit || body.sinceMs > endMs) break;
      if (body === asking) continue;
      leave(body);
      body.giveUp(tooSlow());
    }
    if (held + needed > limit) throw tooMuch();
  }

  return {
    enter(giveUp) {
      const body: Body = { bytes: each, sinceMs: now(), giveUp };
      if (held + each > limit) makeRoom(each, body);
      held += each;
      bodies.add(body);
      return {
        take(bytes) {
          if (!bodies.has(body)) throw tooSlow(); // it was given up
          const more = bytes + chunkCost;
          if (held + more > limit) makeRoom(more, body);
          held += more;
          body.bytes += more;
        },
        leave: () => leave(body),
      };
    },
  };
}

function tooSlow(): KmsError {
  return new KmsError("OVERLOADED", "the request arrived too slowly, and others needed its memory: send it at once");
}

function tooMuch(): KmsError {
  return new KmsError("OVERLOADED", "too many requests arrive at once: try again later");
}
