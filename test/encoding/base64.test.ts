/** Base64 in bytes is Node's, spelling for spelling: what Node would not write is not read. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { canonicalBase64Url, decodeBase64, encodeBase64 } from "../../src/encoding/base64.ts";

describe("base64", () => {
  it("is written and read as Node does, at every length", () => {
    for (let length = 0; length < 200; length += 1) {
      const bytes = randomBytes(length);
      const text = encodeBase64(bytes);
      expect(text.toString()).toBe(bytes.toString("base64"));
      expect(decodeBase64(text)).toEqual(bytes);
    }
  });

  it.each([1, 2, 3, 4, 5])(
    "is refused in every spelling but one, for %i bytes with any character changed",
    (length) => {
      const text = encodeBase64(randomBytes(length));
      for (let at = 0; at < text.length; at += 1) {
        for (let character = 0; character < 256; character += 1) {
          const changed = Buffer.from(text);
          changed[at] = character;
          const isCanonical =
            Buffer.from(changed.toString("latin1"), "base64").toString("base64") === changed.toString("latin1");
          expect(decodeBase64(changed) !== undefined, changed.toString("latin1")).toBe(isCanonical);
        }
      }
    },
  );

  it.each(["A", "AA", "AAA", "A===", "====", "AA==AA==", "AA=A", "AAAA\n", "AAAA====", "AB==", "AAB="])(
    "is refused as %j",
    (text) => {
      expect(decodeBase64(Buffer.from(text))).toBeUndefined();
    },
  );
});

describe("base64url of what is no secret", () => {
  it("is read as Node writes it, at every length", () => {
    for (let length = 0; length < 100; length += 1) {
      const bytes = randomBytes(length);
      expect(canonicalBase64Url(bytes.toString("base64url"))).toEqual(bytes);
    }
  });

  it.each(["A", "AB", "AAB", "_w==", "+w", "/w", "_w ", " _w", "_w\n", "AAAAA", "é", "_w.", "_w\0"])(
    "is refused in another spelling: %j",
    (text) => {
      expect(canonicalBase64Url(text)).toBeUndefined();
    },
  );
});
