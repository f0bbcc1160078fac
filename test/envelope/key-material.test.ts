import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { type DataKeyMaterial, type DataKeyUse, deriveDataKeys } from "../../src/envelope/key-material.ts";
import { hkdfExpand } from "../../src/crypto/hkdf.ts";
import { thrownBy } from "../support/matchers.ts";

const vector = JSON.parse(readFileSync(new URL("../vectors/pii/keys.json", import.meta.url), "utf8"));
const key = () => Buffer.from(vector.key, "hex");
const info = [Buffer.from("what an input key is known by")];

function knownBy(material: DataKeyMaterial, use: DataKeyUse): Buffer {
  const output = Buffer.alloc(32);
  material.inputKey(use).expand(info, output);
  return output;
}

function expected(use: DataKeyUse): Buffer {
  const output = Buffer.alloc(32);
  hkdfExpand(Buffer.from(vector.input_keys[use], "hex"), info, output);
  return output;
}

describe("data key material", () => {
  it("derives the same input keys as another implementation", () => {
    const material = deriveDataKeys(key());
    expect(knownBy(material, "pii")).toEqual(expected("pii"));
    expect(knownBy(material, "data-key")).toEqual(expected("data-key"));
  });

  it("does not depend on the bytes that it was derived from", () => {
    const source = key();
    const material = deriveDataKeys(source);
    source.fill(0);
    expect(knownBy(material, "pii")).toEqual(expected("pii"));
  });

  it("is overwritten when it is destroyed, and refuses to be used", async () => {
    const material = deriveDataKeys(key());
    const held = [material.inputKey("pii"), material.inputKey("data-key")];
    material.destroy();
    for (const inputKey of held) {
      expect(inputKey.keyBytes()).toBe(0);
      expect(await thrownBy(() => inputKey.expand(info, Buffer.alloc(32)))).toBeKmsError("INTERNAL", "without a key");
    }
    expect(await thrownBy(() => material.inputKey("pii"))).toBeKmsError("INTERNAL", "destroyed");
    expect(await thrownBy(() => material.inputKey("data-key"))).toBeKmsError("INTERNAL", "destroyed");
    expect(() => material.destroy()).not.toThrow();
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
