import { describe, expect, it } from "vitest";
import { saltSource } from "../../src/crypto/salts.ts";

describe("salts", () => {
  it("have the length asked for and never repeat, across many blocks", () => {
    const draw = saltSource(24);
    const seen = new Set<string>();
    for (let i = 0; i < 1000; i += 1) {
      const room = Buffer.alloc(25, 0xee);
      draw(room);
      expect(room[24]).toBe(0xee);
      // Each byte of it is drawn: a part that is not would repeat.
      for (let at = 0; at < 24; at += 8) seen.add(`${at} ${room.toString("hex", at, at + 8)}`);
    }
    expect(seen.size).toBe(3000);
  });

  it("are their callers' own: the next ones do not overwrite them", () => {
    const draw = saltSource(16);
    const first = Buffer.alloc(16);
    draw(first);
    const copy = Buffer.from(first);
    for (let i = 0; i < 300; i += 1) draw(Buffer.alloc(16));
    expect(first).toEqual(copy);
  });
});
