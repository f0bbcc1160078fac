import { describe, expect, it } from "vitest";
import { saltSource } from "../../src/crypto/salts.ts";

describe("salts", () => {
  it("have the length asked for and never repeat, across many blocks", () => {
    const draw = saltSource(24);
    const seen = new Set<string>();
    const seenAt = Array.from({ length: 24 }, () => new Set<number>());
    for (let i = 0; i < 1000; i += 1) {
      const room = Buffer.alloc(25, 0xee);
      draw(room);
      expect(room[24]).toBe(0xee);
      seen.add(room.toString("hex", 0, 24));
      for (const [at, values] of seenAt.entries()) values.add(room[at]!);
    }
    expect(seen.size).toBe(1000);
    for (const values of seenAt) expect(values.size).toBeGreaterThan(200);
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
