import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { deriveDataKeys } from "../../src/crypto/data-key.ts";
import { thrownBy } from "../matchers.ts";

const vector = JSON.parse(readFileSync(new URL("../vectors/pii/keys.json", import.meta.url), "utf8"));
const key = () => Buffer.from(vector.key, "hex");
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("data key material", () => {
  it("derives the same input keys as another implementation", () => {
    const material = deriveDataKeys(key());
    expect(hex(material.inputKey("pii"))).toBe(vector.input_keys.pii);
    expect(hex(material.inputKey("data-key"))).toBe(vector.input_keys["data-key"]);
  });

  it("does not depend on the bytes that it was derived from", () => {
    const source = key();
    const material = deriveDataKeys(source);
    source.fill(0);
    expect(hex(material.inputKey("pii"))).toBe(vector.input_keys.pii);
  });

  it("is overwritten when it is destroyed, and refuses to be used", async () => {
    const material = deriveDataKeys(key());
    const held = [material.inputKey("pii"), material.inputKey("data-key")];
    material.destroy();
    for (const bytes of held) expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(await thrownBy(() => material.inputKey("pii"))).toBeKmsError("INTERNAL", "destroyed");
    expect(await thrownBy(() => material.inputKey("data-key"))).toBeKmsError("INTERNAL", "destroyed");
    expect(() => material.destroy()).not.toThrow();
  });

  it("shares no memory with any other buffer", () => {
    const material = deriveDataKeys(key());
    expect(material.inputKey("pii").buffer.byteLength).toBe(32);
    expect(material.inputKey("data-key").buffer).not.toBe(material.inputKey("pii").buffer);
  });

  it("shows nothing of the key when it is printed", () => {
    const material = deriveDataKeys(key());
    const printed = inspect(material, { depth: 5, showHidden: true }) + JSON.stringify(material);
    expect(printed).not.toMatch(/[0-9a-f]{2} [0-9a-f]{2}|Buffer|Uint8Array|\d+,\d+/);
  });

  it.each([0, 16, 31, 33, 64])("refuses a key of %i bytes as a bug", async (length) => {
    expect(await thrownBy(() => deriveDataKeys(Buffer.alloc(length)))).toBeKmsError("INTERNAL");
  });
});
