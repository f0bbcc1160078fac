/**
 * The messages in the bytes of a gRPC stream: each is a byte that says whether it is compressed, its length in four bytes, big-endian, and
 * the message. They are followed, not collected: grpc-js does that.
 */

export interface Frames {
  /** Lengths of the messages whose head ends in `chunk`, in their order. All but the last are whole; see `missing`. */
  read(chunk: Uint8Array): number[];
  /** What is still to come of the last message whose head is there. */
  missing(): number;
  /** Whether a message has begun and is not whole. */
  unfinished(): boolean;
}

const headBytes = 5;

export function followFrames(): Frames {
  let head = 0;
  let length = 0;
  let missing = 0;
  return {
    read(chunk) {
      const lengths: number[] = [];
      let at = 0;
      while (at < chunk.length) {
        if (missing > 0) {
          const step = Math.min(missing, chunk.length - at);
          missing -= step;
          at += step;
          continue;
        }
        length = head === 0 ? 0 : length * 256 + chunk[at]!;
        head += 1;
        at += 1;
        if (head < headBytes) continue;
        lengths.push(length);
        [head, missing] = [0, length];
      }
      return lengths;
    },
    missing: () => missing,
    unfinished: () => head > 0 || missing > 0,
  };
}
