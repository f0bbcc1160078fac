import { describe, expect, it } from "vitest";
import { randomSecret, randomSecrets } from "../../src/crypto/random.ts";
import { loadSodium, type Sodium } from "../../src/crypto/sodium.ts";

describe.each([
  { name: "sodium", make: randomSecrets(loadSodium() as Sodium) },
  { name: "node", make: randomSecrets(undefined) },
  { name: "whichever there is", make: randomSecret },
])("a random secret by $name", ({ make }) => {
  it.each([16, 32])("has %i bytes, each of which takes every value", (length) => {
    const seen = Array.from({ length }, () => new Set<number>());
    // A value that is missing at one place after 8,000 draws is one of some 10^9 runs.
    for (let i = 0; i < 8000; i += 1) {
      const secret = make(length);
      expect(secret.length).toBe(length);
      for (const [at, byte] of secret.entries()) seen[at]!.add(byte);
    }
    expect(seen.map(({ size }) => size)).toEqual(Array(length).fill(256));
  });

  it("is in memory of its own", () => {
    const secret = make(32);
    expect(secret.byteOffset).toBe(0);
    expect(secret.buffer.byteLength).toBe(32);
  });
});
