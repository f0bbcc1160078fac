import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { canonicalPairs } from "../../src/crypto/encryption-context.ts";
import { deriveDataKeys } from "../../src/envelope/key-material.ts";
import { maxValueBytes } from "../../src/envelope/envelope.ts";
import { openField, readToken, sealField } from "../../src/envelope/pii-field.ts";
import { maxTokenLength } from "../../src/envelope/token.ts";
import { thrownBy } from "../support/matchers.ts";

interface TokenVector {
  name: string;
  tenant_id: string;
  field: string;
  pairs: [string, string][];
  token: string;
  plaintext_sha256?: string;
  plaintext_bytes?: number;
}

function load<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`../vectors/pii/${file}`, import.meta.url), "utf8"));
}

const vectorKey = load<{ key: string; key_id: string }>("keys.json");
const vectorMaterial = deriveDataKeys(Buffer.from(vectorKey.key, "hex"));
const placeOf = ({ tenant_id, field, pairs }: TokenVector) => ({
  tenantId: tenant_id,
  name: field,
  contextPairs: canonicalPairs(new Map(pairs)),
});

const material = deriveDataKeys(randomBytes(32));
const key = { keyId: "00112233445566778899aabbccddeeff", material };
const value = Buffer.from("alice@example.com");
const pairs = (...entries: [string, string][]) => canonicalPairs(new Map(entries));
const place = { tenantId: "acme", name: "email", contextPairs: pairs(["purpose", "support"]) };

describe("PII field", () => {
  it.each(load<TokenVector[]>("tokens.json"))("opens another implementation's token: $name", (vector) => {
    const sealed = readToken(vector.token);
    expect(sealed.keyId).toBe(vectorKey.key_id);
    const opened = openField(vectorMaterial, placeOf(vector), sealed);
    expect(opened.length).toBe(vector.plaintext_bytes);
    expect(createHash("sha256").update(opened).digest("hex")).toBe(vector.plaintext_sha256);
  });

  it.each(load<TokenVector[]>("rejected.json"))("refuses a token that is not its own: $name", async (vector) => {
    const call = () => openField(vectorMaterial, placeOf(vector), readToken(vector.token));
    const error = await thrownBy(call);
    expect(error).toBeKmsError("CIPHERTEXT_REJECTED");
    expect((error as Error).message).toBe("ciphertext rejected");
  });

  it.each(load<{ name: string; token: string; says: string }[]>("reserved.json"))(
    "refuses what is reserved, by its name: $name",
    async ({ token, says }) => {
      const error = await thrownBy(() => readToken(token));
      expect(error).toBeKmsError("INVALID_ARGUMENT");
      expect((error as Error).message).toMatch(`${says} is for `);
    },
  );

  it.each([0, 1, 17, 20_000, maxValueBytes])("opens what it sealed, %i bytes", (length) => {
    const value = randomBytes(length);
    const token = sealField(key, place, value);
    expect(token).toMatch(/^fk1\.[A-Za-z0-9_-]+$/);
    expect(token.length).toBeLessThanOrEqual(maxTokenLength);
    expect(readToken(token).keyId).toBe(key.keyId);
    expect(Buffer.from(openField(material, place, readToken(token))).equals(value)).toBe(true);
  });

  it("gives another token for the same value each time", () => {
    expect(sealField(key, place, value)).not.toBe(sealField(key, place, value));
  });

  it.each([
    ["another tenant", { ...place, tenantId: "acme2" }],
    ["another field", { ...place, name: "phone" }],
    ["the boundary of tenant and field moved", { ...place, tenantId: "acmee", name: "mail" }],
    ["a field name that differs in case", { ...place, name: "Email" }],
    ["no context", { ...place, contextPairs: pairs() }],
    ["another context value", { ...place, contextPairs: pairs(["purpose", "sales"]) }],
    ["a boundary of the context moved", { ...place, contextPairs: pairs(["purposes", "upport"]) }],
    ["a pair more", { ...place, contextPairs: pairs(["purpose", "support"], ["__proto__", ""]) }],
  ])("refuses a token that was moved to %s", async (_, elsewhere) => {
    const sealed = readToken(sealField(key, place, value));
    expect(await thrownBy(() => openField(material, elsewhere, sealed))).toBeKmsError("CIPHERTEXT_REJECTED");
  });

  it("opens with the same context given in another order", () => {
    const given: [string, string][] = ["\u{1f511}", "\uffff", "__proto__"].map((key, n) => [key, `${n}`]);
    const sealed = readToken(sealField(key, { ...place, contextPairs: pairs(...given) }, value));
    const reordered = { ...place, contextPairs: pairs(...given.toReversed()) };
    expect(Buffer.from(openField(material, reordered, sealed)).equals(value)).toBe(true);
  });

  it("refuses a value of more than 64 KiB", async () => {
    const call = () => sealField(key, place, Buffer.alloc(maxValueBytes + 1));
    expect(await thrownBy(call)).toBeKmsError("INVALID_ARGUMENT", "value");
  });
});
