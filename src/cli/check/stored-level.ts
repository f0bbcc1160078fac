/** The stored hashes of a level of tiles, beside those that the entries lead to: both come in order, in pieces of any length. */
import { hashBytes } from "../../tlog/merkle.ts";
import { fullTile } from "../../tlog/tiles.ts";
import type { StoredPiece } from "../../store/offline/stored-logs.ts";
import type { LogFinding } from "./log-content.ts";

export interface StoredLevel {
  /** The next hashes must be these. */
  compare(expected: Uint8Array): Promise<void>;
  /** There must be no more. */
  end(): Promise<void>;
}

export function storedLevel(level: number, pieces: AsyncGenerator<StoredPiece>, tell: LogFinding): StoredLevel {
  /** Of the next hash, at this level. */
  let index = 0;
  const width = fullTile ** level;
  let rest: Uint8Array = new Uint8Array();
  let isLost = false;

  async function more(): Promise<boolean> {
    const { value: piece, done } = await pieces.next();
    if (done) return false;
    const { start, data } = piece;
    const isInPlace = start === index && data.length % hashBytes === 0;
    if (isInPlace && (start % fullTile) + data.length / hashBytes <= fullTile) rest = data;
    return rest.length > 0;
  }

  function compareNext(expected: Uint8Array): void {
    for (let at = 0; at < expected.length; at += hashBytes, index += 1) {
      const [one, other] = [rest, expected].map((hashes) => hashes.subarray(at, at + hashBytes));
      if (Buffer.compare(one!, other!) !== 0) tell(index * width, differs(level, index), width);
    }
    rest = rest.subarray(expected.length);
  }

  return {
    async compare(expected) {
      for (let at = 0; at < expected.length && !isLost; ) {
        if (rest.length === 0 && !(await more())) {
          isLost = true;
          tell(index * width, `hash ${index} of level ${level} is missing`);
          return;
        }
        const length = Math.min(rest.length, expected.length - at);
        compareNext(expected.subarray(at, at + length));
        at += length;
      }
    },
    async end() {
      const isOver = rest.length === 0 && (await pieces.next()).done;
      if (!isLost && !isOver)
        tell(index * width, `there are hashes of level ${level} from ${index} on, where the log ends`);
    },
  };
}

function differs(level: number, index: number): string {
  if (level === 0) return `entry ${index} or its hash was altered`;
  return `hash ${index} of level ${level} is not that of the entries below it`;
}
