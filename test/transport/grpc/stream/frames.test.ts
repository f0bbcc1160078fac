import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ownsMemory } from "../../../../src/runtime/detach.ts";
import { readFrames } from "../../../../src/transport/grpc/stream/frames.ts";
import { frame } from "../../../support/raw-stream.ts";

/** All messages in `chunks`, each begun as soon as it is announced. */
function messagesIn(chunks: readonly Uint8Array[]) {
  const frames = readFrames();
  const messages: Buffer[] = [];
  const lengths: number[] = [];
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      at = frames.read(chunk, at);
      const length = frames.announced();
      if (length !== undefined) {
        lengths.push(length);
        frames.begin();
      }
      messages.push(...[frames.whole() ?? []].flat());
    }
  }
  return { messages, lengths, unfinished: frames.unfinished() };
}

describe("the messages in a stream of bytes", () => {
  const messages = [randomBytes(3), Buffer.alloc(0), randomBytes(300)];
  const bytes = Buffer.concat(messages.map((message) => frame(message)));

  it.each([1, 2, 5, 7, 8, 64, bytes.length])("are put together from chunks of %i", (size) => {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, i * size + size),
    );
    expect(messagesIn(chunks)).toEqual({ messages, lengths: [3, 0, 300], unfinished: false });
  });

  it("have memory of their own, with their head in it", () => {
    const compressed = Buffer.concat([Buffer.from([1, 0, 0, 0, 2]), Buffer.from("ab")]);
    for (const message of messagesIn([bytes, compressed]).messages) expect(ownsMemory(message)).toBe(true);
    const [message] = messagesIn([compressed]).messages;
    expect(Buffer.from(message!.buffer)).toEqual(compressed);
  });

  it("have begun with the first byte of their head, and are read no further than that before there is memory", () => {
    const frames = readFrames();
    expect(frames.unfinished()).toBe(false);
    expect(frames.read(bytes.subarray(0, 2), 0)).toBe(2);
    expect([frames.announced(), frames.unfinished()]).toEqual([undefined, true]);
    expect(frames.read(bytes, 2)).toBe(5);
    expect([frames.announced(), frames.whole()]).toEqual([3, undefined]);
    expect(frames.read(bytes, 5)).toBe(5);
    frames.begin();
    expect([frames.announced(), frames.read(bytes, 5), frames.unfinished()]).toEqual([undefined, 8, true]);
    expect([frames.whole(), frames.whole(), frames.unfinished()]).toEqual([messages[0], undefined, false]);
  });

  it("may be as long as their head can say", () => {
    const frames = readFrames();
    frames.read(frame(Buffer.alloc(1), 2 ** 32 - 1), 0);
    expect(frames.announced()).toBe(2 ** 32 - 1);
  });
});
