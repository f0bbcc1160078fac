import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { earlyBytes } from "../../../../src/transport/grpc/stream/early-bytes.ts";

const window = randomBytes(65_535);

it.each([1, 1_000, 16_384, window.length])(
  "are kept in their order, in pieces of %i, in memory of twice their size",
  (size) => {
    const early = earlyBytes();
    for (let at = 0; at < window.length; at += size) early.keep(window.subarray(at, at + size));
    expect(early.bytes().equals(window)).toBe(true);
    expect(early.bytes().buffer.byteLength).toBeLessThanOrEqual(2 * window.length);
  },
);

it("go on behind what was dropped, and do not need more memory for that", () => {
  const early = earlyBytes();
  early.keep(window.subarray(0, 1_000));
  for (let at = 0; at + 1_000 < window.length; at += 100) {
    expect(early.bytes().equals(window.subarray(at, at + 1_000))).toBe(true);
    early.drop(100);
    early.keep(window.subarray(at + 1_000, at + 1_100));
  }
  expect(early.bytes().buffer.byteLength).toBeLessThanOrEqual(4_096);
});

it("give their memory back once all are dropped", () => {
  const early = earlyBytes();
  early.keep(window);
  const { buffer } = early.bytes();
  early.drop(window.length);
  expect([buffer.byteLength, early.bytes().length]).toEqual([0, 0]);
  early.keep(Buffer.of(7));
  expect([...early.bytes()]).toEqual([7]);
});
