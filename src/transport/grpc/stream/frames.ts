/**
 * The messages in the bytes of a gRPC stream: each is a byte that says whether it is compressed, its length in four bytes, big-endian, and
 * the message. Each is put together in memory of its own, which can be given away: a piece of what was read would keep all of that.
 */
import { release } from "../../../runtime/detach.ts";

export interface Frames {
  /** Reads `chunk` from `at` on, to the end of a head or of a message at most, and returns where it stopped. */
  read(chunk: Uint8Array, at: number): number;
  /** The length of the message whose head is there; undefined once it has begun. */
  announced(): number | undefined;
  /** Makes memory for the announced message, which is read from now on. */
  begin(): void;
  /** A message that has become whole: once. Its head is before it, in the same memory. */
  whole(): Buffer | undefined;
  /** Whether a message, or its head, is there in part. */
  unfinished(): boolean;
  /** Gives the memory of that message back. Call nothing else after it. */
  drop(): void;
}

const headBytes = 5;

export function readFrames(): Frames {
  const head = Buffer.alloc(headBytes);
  let frame: Buffer | undefined;
  let filled = 0;
  const length = () => head.readUInt32BE(1);
  return {
    read(chunk, at) {
      const into = frame ?? head;
      const end = Math.min(chunk.length, at + into.length - filled);
      into.set(chunk.subarray(at, end), filled);
      filled += end - at;
      return end;
    },
    announced: () => (frame === undefined && filled === headBytes ? length() : undefined),
    begin() {
      frame = Buffer.allocUnsafeSlow(headBytes + length());
      frame.set(head);
    },
    whole() {
      if (frame === undefined || filled < frame.length) return undefined;
      const message = frame.subarray(headBytes);
      [frame, filled] = [undefined, 0];
      return message;
    },
    unfinished: () => filled > 0,
    drop() {
      if (frame !== undefined) release(frame);
    },
  };
}
