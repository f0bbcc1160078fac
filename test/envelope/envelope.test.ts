import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { canonicalContext, canonicalPairs } from "../../src/crypto/encryption-context.ts";
import { deriveDataKeys } from "../../src/envelope/key-material.ts";
import { KmsError } from "../../src/errors.ts";
import {
  maxEnvelopeBytes,
  maxValueBytes,
  openEnvelope,
  parseEnvelope,
  sealEnvelope,
} from "../../src/envelope/envelope.ts";
import { thrownBy } from "../support/matchers.ts";

const keyId = "00112233445566778899aabbccddeeff";
const material = deriveDataKeys(randomBytes(32));
const key = { keyId, material };
const context = canonicalContext("acme", "email", canonicalPairs(new Map([["purpose", "support"]])));
const value = Buffer.from("alice@example.com");

function load(file: string) {
  return JSON.parse(readFileSync(new URL(`../vectors/pii/${file}`, import.meta.url), "utf8"));
}

function isRejected(call: () => unknown): boolean {
  try {
    call();
  } catch (error) {
    return error instanceof KmsError && error.code === "CIPHERTEXT_REJECTED" && error.message === "ciphertext rejected";
  }
  return false;
}

describe("envelope", () => {
  it.each(load("data-key-blobs.json") as Record<string, string>[])(
    "opens another implementation's: $name",
    (vector) => {
      const { key: bytes, key_id } = load("keys.json");
      const blob = Buffer.from(vector.ciphertext_blob!, "hex");
      const context = canonicalContext(vector.tenant_id!, "", canonicalPairs(new Map(vector.pairs as never)));
      expect(parseEnvelope("data-key", blob).keyId).toBe(key_id);
      const opened = openEnvelope("data-key", deriveDataKeys(Buffer.from(bytes, "hex")), context, blob);
      expect(Buffer.from(opened).toString("hex")).toBe(vector.plaintext);
      expect(isRejected(() => parseEnvelope("pii", blob))).toBe(true);
    },
  );

  it.each([0, 1, 17, 16_384, maxValueBytes])("opens what it sealed, %i bytes", (length) => {
    const plaintext = randomBytes(length);
    const sealed = sealEnvelope("pii", key, context, plaintext);
    expect(parseEnvelope("pii", sealed).keyId).toBe(keyId);
    expect(Buffer.from(openEnvelope("pii", material, context, sealed)).equals(plaintext)).toBe(true);
  });

  it("begins with its version, kind and key id", () => {
    const start = (kind: "pii" | "data-key") => Buffer.from(sealEnvelope(kind, key, context, value).subarray(0, 18));
    expect(start("pii").toString("hex")).toBe(`0101${keyId}`);
    expect(start("data-key").toString("hex")).toBe(`0102${keyId}`);
  });

  it("names the key that seals, whichever sealed or was refused before", async () => {
    const other = { keyId: "ff".repeat(16), material };
    const wrong = { keyId: "no key id", material };
    const start = ({ keyId }: typeof key) =>
      parseEnvelope("pii", sealEnvelope("pii", { keyId, material }, context, value)).keyId;
    for (const each of [key, other, other, key]) {
      expect(start(each)).toBe(each.keyId);
      for (let i = 0; i < 2; i += 1) {
        expect(await thrownBy(() => sealEnvelope("pii", wrong, context, value))).toBeKmsError("INTERNAL", "key id");
      }
      expect(start(each)).toBe(each.keyId);
    }
  });

  it("refuses a value that is too long to be opened again", async () => {
    expect(sealEnvelope("pii", key, context, Buffer.alloc(maxValueBytes)).length).toBe(maxEnvelopeBytes);
    const call = () => sealEnvelope("pii", key, context, Buffer.alloc(maxValueBytes + 1));
    expect(await thrownBy(call)).toBeKmsError("INVALID_ARGUMENT", "value");
  });

  it("refuses every flipped bit", () => {
    const sealed = sealEnvelope("pii", key, context, value);
    const opened: number[] = [];
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const edited = Buffer.from(sealed);
      edited[bit >> 3]! ^= 1 << (bit & 7);
      if (!isRejected(() => openEnvelope("pii", material, context, edited))) opened.push(bit);
    }
    expect(opened).toEqual([]);
  });

  it("refuses every truncation, and a byte more", () => {
    const sealed = sealEnvelope("pii", key, context, value);
    for (let length = 0; length < sealed.length; length += 1) {
      expect(isRejected(() => openEnvelope("pii", material, context, sealed.subarray(0, length)))).toBe(true);
    }
    expect(isRejected(() => openEnvelope("pii", material, context, Buffer.concat([sealed, Buffer.alloc(1)])))).toBe(
      true,
    );
  });

  it("refuses a kind that was swapped, in the call, in the header or in both", () => {
    const sealed = Buffer.from(sealEnvelope("pii", key, context, value));
    expect(isRejected(() => openEnvelope("data-key", material, context, sealed))).toBe(true);
    sealed[1] = 0x02;
    expect(isRejected(() => openEnvelope("pii", material, context, sealed))).toBe(true);
    expect(isRejected(() => openEnvelope("data-key", material, context, sealed))).toBe(true);
  });

  it("refuses another key, also one that goes by the same id", () => {
    const sealed = sealEnvelope("pii", key, context, value);
    expect(isRejected(() => openEnvelope("pii", deriveDataKeys(randomBytes(32)), context, sealed))).toBe(true);
  });

  it("refuses by length alone, before it looks for a key", () => {
    const header = Buffer.from(`0101${keyId}`, "hex");
    for (const length of [0, 18, 71, 18 + 56 + 15, 18 + 56 + 16_400, 18 + 56 + 16_400 + 15, maxEnvelopeBytes + 1]) {
      const bytes = Buffer.concat([header, Buffer.alloc(length)]).subarray(0, length);
      expect(
        isRejected(() => parseEnvelope("pii", bytes)),
        `${length} bytes`,
      ).toBe(true);
    }
    expect(parseEnvelope("pii", Buffer.concat([header, Buffer.alloc(56 + 16)])).keyId).toBe(keyId);
  });

  it("seals and opens nothing after its key was destroyed", async () => {
    const gone = deriveDataKeys(randomBytes(32));
    const sealed = sealEnvelope("pii", { keyId, material: gone }, context, value);
    gone.destroy();
    expect(await thrownBy(() => sealEnvelope("pii", { keyId, material: gone }, context, value))).toBeKmsError(
      "INTERNAL",
    );
    expect(await thrownBy(() => openEnvelope("pii", gone, context, sealed))).toBeKmsError("INTERNAL");
  });

  it.each(["", "0011", keyId.toUpperCase(), `${keyId}00`, keyId.replace("0", "g"), `${keyId}\n`])(
    "refuses %j as a key id",
    async (keyId) => {
      expect(await thrownBy(() => sealEnvelope("pii", { keyId, material }, context, value))).toBeKmsError("INTERNAL");
    },
  );
});
