import { describe, expect, it } from "vitest";
import { followFrames } from "../../src/transport/stream-frames.ts";
import { frame } from "../raw-stream.ts";

describe("the messages in a stream of bytes", () => {
  const bytes = Buffer.concat([frame(Buffer.alloc(3)), frame(Buffer.alloc(0)), frame(Buffer.alloc(300))]);

  it("are found in one chunk", () => {
    const frames = followFrames();
    expect(frames.read(bytes)).toEqual([3, 0, 300]);
    expect(frames.unfinished()).toBe(false);
  });

  it.each([1, 2, 5, 7, 8, 64])("are found in chunks of %i", (size) => {
    const frames = followFrames();
    const lengths = [];
    for (let at = 0; at < bytes.length; at += size) lengths.push(...frames.read(bytes.subarray(at, at + size)));
    expect(lengths).toEqual([3, 0, 300]);
    expect(frames.unfinished()).toBe(false);
  });

  it("have begun with the first byte of their head, and miss what is still to come", () => {
    const frames = followFrames();
    expect(frames.read(bytes.subarray(0, 2))).toEqual([]);
    expect([frames.missing(), frames.unfinished()]).toEqual([0, true]);
    expect(frames.read(bytes.subarray(2, 6))).toEqual([3]);
    expect([frames.missing(), frames.unfinished()]).toEqual([2, true]);
    frames.read(bytes.subarray(6, 8));
    expect([frames.missing(), frames.unfinished()]).toEqual([0, false]);
  });

  it("may be as long as their head can say", () => {
    const frames = followFrames();
    expect(frames.read(frame(Buffer.alloc(1), 2 ** 32 - 1))).toEqual([2 ** 32 - 1]);
    expect(frames.missing()).toBe(2 ** 32 - 2);
  });
});
