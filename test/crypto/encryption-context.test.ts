import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  canonicalContext,
  canonicalPairs,
  maxContextBytes,
  maxContextPairs,
  providerContextBytes,
} from "../../src/crypto/encryption-context.ts";
import { thrownBy } from "../support/matchers.ts";

interface ContextVector {
  name: string;
  tenant_id: string;
  field: string;
  pairs: [string, string][];
  canonical_pairs: string;
  canonical_context: string;
  provider_context: string;
}

const vectors: ContextVector[] = JSON.parse(
  readFileSync(new URL("../vectors/pii/contexts.json", import.meta.url), "utf8"),
);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const pairsOf = (object: Record<string, string>) => hex(canonicalPairs(new Map(Object.entries(object))));

describe("canonical context", () => {
  it.each(vectors)("is the same as another implementation's: $name", (vector) => {
    const pairs = canonicalPairs(new Map(vector.pairs));
    expect(hex(pairs)).toBe(vector.canonical_pairs);
    expect(hex(canonicalContext(vector.tenant_id, vector.field, pairs))).toBe(vector.canonical_context);
    // fromEntries defines `__proto__` as a property of its own, where an object literal would set the prototype.
    expect(hex(providerContextBytes(Object.fromEntries(vector.pairs)))).toBe(vector.provider_context);
  });

  it("does not depend on the order in which pairs are given", () => {
    const pairs: [string, string][] = [
      ["b", "2"],
      ["\u{10000}", "4"],
      ["a", "1"],
      ["\uffff", "3"],
    ];
    expect(hex(canonicalPairs(new Map(pairs.toReversed())))).toBe(hex(canonicalPairs(new Map(pairs))));
  });

  it("sorts by UTF-8, where a supplementary character follows U+FFFF", () => {
    const sorted = hex(
      canonicalPairs(
        new Map([
          ["\u{10000}", ""],
          ["\uffff", ""],
        ]),
      ),
    );
    expect(sorted.indexOf("efbfbf")).toBeLessThan(sorted.indexOf("f0908080"));
  });

  it("differs wherever the meaning differs, even by a boundary alone", () => {
    const none = canonicalPairs(new Map());
    const spellings = [
      hex(canonicalContext("acme", "email", none)),
      hex(canonicalContext("acm", "eemail", none)),
      hex(canonicalContext("acmeemail", "", none)),
      hex(canonicalContext("", "acmeemail", none)),
      pairsOf({ a: "bc" }),
      pairsOf({ ab: "c" }),
      pairsOf({ abc: "" }),
      pairsOf({ "": "abc" }),
      pairsOf({ a: "b", c: "" }),
      pairsOf({ a: "", b: "c" }),
    ];
    expect(new Set(spellings).size).toBe(spellings.length);
  });

  it("keeps Unicode forms apart: what was given is what is authenticated", () => {
    expect(pairsOf({ "\u00e9": "" })).not.toBe(pairsOf({ "e\u0301": "" }));
  });

  it("keeps __proto__ as a key like any other", () => {
    expect(hex(canonicalPairs(new Map([["__proto__", "x"]])))).toContain(hex(Buffer.from("__proto__")));
    expect(pairsOf({})).not.toBe(hex(canonicalPairs(new Map([["__proto__", "x"]]))));
  });

  it("takes as many pairs and bytes as the limits say", () => {
    const pairs = new Map(Array.from({ length: maxContextPairs }, (_, i) => [`key-${i}`.padEnd(16), "v".repeat(240)]));
    expect(canonicalPairs(pairs).length).toBe(4 + maxContextPairs * 8 + maxContextBytes);
  });

  it.each([
    ["a pair too many", Array.from({ length: maxContextPairs + 1 }, (_, i) => [`${i}`, ""])],
    ["a byte too many", [["key", "v".repeat(maxContextBytes - 2)]]],
    ["bytes too many where the characters are not", [["key", "é".repeat(maxContextBytes / 2)]]],
    ["a lone high surrogate in a key", [["a\ud800", ""]]],
    ["a lone low surrogate in a value", [["a", "\udc00b"]]],
    ["surrogates in the wrong order", [["a", "\udc00\ud800"]]],
  ] as [string, [string, string][]][])("refuses %s, naming encryption_context", async (_, pairs) => {
    expect(await thrownBy(() => canonicalPairs(new Map(pairs)))).toBeKmsError("INVALID_ARGUMENT", "encryption_context");
  });

  it("is the tenant's own, whichever had one or was refused before", async () => {
    const none = canonicalPairs(new Map());
    const [acme, globex] = ["acme", "globex"].map((tenant) => hex(canonicalContext(tenant, "email", none)));
    expect(acme).not.toBe(globex);
    for (const [tenant, own] of [
      ["acme", acme],
      ["globex", globex],
      ["globex", globex],
      ["acme", acme],
    ] as const) {
      expect(hex(canonicalContext(tenant, "email", none))).toBe(own);
      for (let i = 0; i < 2; i += 1) {
        expect(await thrownBy(() => canonicalContext("\ud800", "email", none))).toBeKmsError("INVALID_ARGUMENT");
      }
      expect(hex(canonicalContext(tenant, "email", none))).toBe(own);
    }
  });

  it("refuses a tenant or field name that UTF-8 cannot write", async () => {
    const none = canonicalPairs(new Map());
    expect(await thrownBy(() => canonicalContext("\ud800", "email", none))).toBeKmsError(
      "INVALID_ARGUMENT",
      "tenant_id",
    );
    expect(await thrownBy(() => canonicalContext("acme", "\udfff", none))).toBeKmsError("INVALID_ARGUMENT", "name");
  });

  it("never quotes the pairs in an error", async () => {
    const error = (await thrownBy(() => canonicalPairs(new Map([["secret-looking", "\ud800"]])))) as Error;
    expect(error.message).not.toContain("secret-looking");
  });
});
