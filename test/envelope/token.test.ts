import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { maxEnvelopeBytes } from "../../src/envelope/envelope.ts";
import { decodeToken, encodeToken, maxTokenLength } from "../../src/envelope/token.ts";
import { thrownBy } from "../support/matchers.ts";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

describe("token", () => {
  it.each([0, 1, 2, 3, 90, 91, 92, maxEnvelopeBytes])("decodes what it encoded, %i bytes", (length) => {
    const envelope = randomBytes(length);
    expect(Buffer.from(decodeToken(encodeToken(envelope))).equals(envelope)).toBe(true);
  });

  it("encodes a view of a larger buffer, and nothing around it", () => {
    expect(encodeToken(Buffer.from([0, 1, 2, 3, 4]).subarray(1, 4))).toBe("fk1.AQID");
  });

  it("uses the whole of the URL-safe alphabet", () => {
    expect(encodeToken(Buffer.from([0xfb, 0xff, 0xbf]))).toBe("fk1.-_-_");
  });

  it("refuses every other spelling of the last character", async () => {
    for (const length of [91, 92]) {
      const token = encodeToken(randomBytes(length));
      for (const last of alphabet.replace(token.at(-1)!, "")) {
        const spelling = token.slice(0, -1) + last;
        try {
          // Another value is fine, the same bytes from another text are not.
          expect(encodeToken(decodeToken(spelling))).toBe(spelling);
        } catch (error) {
          expect(error).toBeKmsError("CIPHERTEXT_REJECTED");
        }
      }
    }
    expect(await thrownBy(() => decodeToken("fk1.AB"))).toBeKmsError("CIPHERTEXT_REJECTED");
    expect(await thrownBy(() => decodeToken("fk1.AAB"))).toBeKmsError("CIPHERTEXT_REJECTED");
  });

  it.each([
    "",
    "fk1",
    "AQID",
    "fk2.AQID",
    "FK1.AQID",
    " fk1.AQID",
    "fk1.AQID ",
    "fk1.AQ\nID",
    "fk1.fk1.AQID",
    "fk1.AQ==",
    "fk1.AQI=",
    "fk1.AQID=",
    "fk1.+/+/",
    "fk1.A",
    "fk1.AQIDA",
    "fk1.AQ.D",
    "fk1.AQ\0D",
    "fk1.АQID",
    "fk1.AQID\ud800",
  ])("refuses %j", async (text) => {
    expect(await thrownBy(() => decodeToken(text))).toBeKmsError("CIPHERTEXT_REJECTED");
  });

  it("refuses what is longer than the token of the longest value", async () => {
    expect(encodeToken(Buffer.alloc(maxEnvelopeBytes)).length).toBe(maxTokenLength);
    const tooLong = encodeToken(Buffer.alloc(maxEnvelopeBytes + 1));
    expect(await thrownBy(() => decodeToken(tooLong))).toBeKmsError("CIPHERTEXT_REJECTED");
  });
});
