import { describe, expect, it } from "vitest";
import { saltSource } from "../../src/crypto/salts.ts";

describe("salts", () => {
  it("have the length asked for and never repeat, across many blocks", () => {
    const salt = saltSource(24);
    const seen = new Set<string>();
    for (let i = 0; i < 1000; i += 1) {
      const next = salt();
      expect(next).toHaveLength(24);
      seen.add(Buffer.from(next).toString("hex"));
    }
    expect(seen.size).toBe(1000);
  });

  it("are not overwritten when the next block is drawn", () => {
    const salt = saltSource(16);
    const first = salt();
    const copy = Uint8Array.from(first);
    for (let i = 0; i < 300; i += 1) salt();
    expect(Uint8Array.from(first)).toEqual(copy);
  });
});
