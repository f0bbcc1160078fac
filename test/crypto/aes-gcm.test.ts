import { createSecretKey, Decipheriv, randomBytes } from "node:crypto";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { decryptGcm, encryptGcm, gcmTagBytes, openGcm, sealGcm } from "../../src/crypto/aes-gcm.ts";
import { KmsError } from "../../src/errors.ts";
import { thrownBy } from "../support/matchers.ts";
import { bytes, itOnWycheproof } from "../support/wycheproof.ts";

const key = randomBytes(32);
const aad = Buffer.from("context");
const plaintext = Buffer.from("a secret of some length");

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return error instanceof KmsError ? error.code : String(error);
  }
  return "no error";
}

describe("AES-256-GCM", () => {
  itOnWycheproof("agrees with Wycheproof on 96-bit nonces, and refuses other sizes", "aes_gcm_test.json", (groups) => {
    const ran: number[] = [];
    for (const { tests, ivSize, keySize } of groups) {
      for (const vector of tests) {
        const [key, nonce, aad, msg, ct, tag] = ["key", "iv", "aad", "msg", "ct", "tag"].map((m) => bytes(vector[m]));
        const sealed = Buffer.concat([ct!, tag!]);
        const parameters = { key: key!, nonce: nonce!, aad: aad! };
        const out = Buffer.alloc(msg!.length + gcmTagBytes);
        if (ivSize !== 96 || keySize !== 256) {
          expect(codeOf(() => decryptGcm(parameters, sealed))).toBe("INTERNAL");
          expect(codeOf(() => encryptGcm(parameters, msg!, out, 0))).toBe("INTERNAL");
        } else if (vector.result === "valid") {
          encryptGcm(parameters, msg!, out, 0);
          expect(out.equals(sealed), `tcId ${vector.tcId}`).toBe(true);
          expect(Buffer.from(decryptGcm(parameters, sealed)).equals(msg!), `tcId ${vector.tcId}`).toBe(true);
          expect(Buffer.from(openGcm(key!, Buffer.concat([nonce!, sealed]), aad!)).equals(msg!)).toBe(true);
        } else {
          expect(
            codeOf(() => decryptGcm(parameters, sealed)),
            `tcId ${vector.tcId}`,
          ).toBe("CIPHERTEXT_REJECTED");
          expect(codeOf(() => openGcm(key!, Buffer.concat([nonce!, sealed]), aad!))).toBe("CIPHERTEXT_REJECTED");
        }
        ran.push(vector.tcId);
      }
    }
    return ran;
  });

  it.each([0, 1, 16, 4096, 100_000])("opens what it sealed, %i bytes", (length) => {
    const value = randomBytes(length);
    expect(Buffer.from(openGcm(key, sealGcm(key, value, aad), aad)).equals(value)).toBe(true);
  });

  it("takes a KeyObject and the same key as bytes", () => {
    const sealed = sealGcm(createSecretKey(key), plaintext, aad);
    expect(Buffer.from(openGcm(key, sealed, aad)).equals(plaintext)).toBe(true);
    expect(Buffer.from(openGcm(createSecretKey(key), sealed, aad)).equals(plaintext)).toBe(true);
  });

  it("never seals twice alike", () => {
    const seen = new Set(Array.from({ length: 100 }, () => Buffer.from(sealGcm(key, plaintext, aad)).toString("hex")));
    expect(seen.size).toBe(100);
  });

  it("refuses every flipped bit and every truncation", () => {
    const sealed = sealGcm(key, plaintext, aad);
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const edited = Buffer.from(sealed);
      edited[bit >> 3]! ^= 1 << (bit & 7);
      expect(codeOf(() => openGcm(key, edited, aad))).toBe("CIPHERTEXT_REJECTED");
    }
    for (let length = 0; length < sealed.length; length += 1) {
      expect(codeOf(() => openGcm(key, sealed.subarray(0, length), aad))).toBe("CIPHERTEXT_REJECTED");
    }
  });

  it("refuses another key and other associated data", async () => {
    const sealed = sealGcm(key, plaintext, aad);
    expect(await thrownBy(() => openGcm(randomBytes(32), sealed, aad))).toBeKmsError("CIPHERTEXT_REJECTED");
    expect(await thrownBy(() => openGcm(key, sealed, Buffer.from("contexT")))).toBeKmsError("CIPHERTEXT_REJECTED");
    expect(await thrownBy(() => openGcm(key, sealed, Buffer.alloc(0)))).toBeKmsError("CIPHERTEXT_REJECTED");
  });

  it.each([0, 16, 24, 31, 33])("refuses a key of %i bytes as a bug", async (length) => {
    expect(await thrownBy(() => sealGcm(randomBytes(length), plaintext, aad))).toBeKmsError("INTERNAL");
    if (length === 0) return;
    expect(await thrownBy(() => sealGcm(createSecretKey(randomBytes(length)), plaintext, aad))).toBeKmsError(
      "INTERNAL",
    );
  });

  it("leaves nothing in memory of a plaintext that is not authentic", () => {
    const sealed = sealGcm(key, plaintext, aad);
    const update = vi.spyOn(Decipheriv.prototype, "update");
    onTestFinished(() => update.mockRestore());
    expect(codeOf(() => openGcm(key, sealed, Buffer.from("other")))).toBe("CIPHERTEXT_REJECTED");
    expect(update.mock.results.map(({ value }) => value)).toEqual([Buffer.alloc(plaintext.length)]);
  });

  it("writes where it is told to and nowhere else, and refuses an output without room", async () => {
    const parameters = { key, nonce: Buffer.alloc(12) };
    const [alone, within] = [Buffer.alloc(plaintext.length + 16), Buffer.alloc(plaintext.length + 20, 0xee)];
    encryptGcm(parameters, plaintext, alone, 0);
    encryptGcm(parameters, plaintext, within, 3);
    expect(within).toEqual(Buffer.concat([Buffer.alloc(3, 0xee), alone, Buffer.alloc(1, 0xee)]));
    expect(await thrownBy(() => encryptGcm(parameters, plaintext, within, 5))).toBeKmsError("INTERNAL", "no room");
    expect(await thrownBy(() => encryptGcm(parameters, plaintext, Buffer.alloc(15), 0))).toBeKmsError("INTERNAL");
  });
});
