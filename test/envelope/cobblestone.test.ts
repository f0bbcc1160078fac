import { createHash, randomBytes } from "node:crypto";
import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { createHkdfKey, type HkdfKey } from "../../src/crypto/hkdf.ts";
import { type Context, open, saltBytes, seal, sealedLength, sealInto } from "../../src/envelope/cobblestone.ts";
import { KmsError } from "../../src/errors.ts";
import { bytes, itOnWycheproof } from "../support/wycheproof.ts";
import { thrownBy } from "../support/matchers.ts";

const key = inputKey(randomBytes(32));
const context = [Buffer.from("context")];

function inputKey(bytes: Uint8Array): HkdfKey {
  const key = createHkdfKey();
  key.use(bytes);
  return key;
}

function sealWithSalt(key: HkdfKey, context: Context, salt: Uint8Array, plaintext: Uint8Array): Buffer {
  const sealed = Buffer.alloc(sealedLength(plaintext.length));
  sealInto(sealed, 0, key, context, plaintext, salt);
  return sealed;
}

function isRejected(call: () => unknown): boolean {
  try {
    call();
  } catch (error) {
    return error instanceof KmsError && error.code === "CIPHERTEXT_REJECTED" && error.message === "ciphertext rejected";
  }
  return false;
}

describe("Cobblestone-256", () => {
  itOnWycheproof("agrees with Wycheproof", "c2sp_chunked_encryption_aes_256_gcm_test.json", (groups) => {
    const ran: number[] = [];
    for (const vector of groups.flatMap((group) => group.tests)) {
      const sealed = inflateSync(bytes(vector.ct));
      const [key, context] = [inputKey(bytes(vector.key)), [bytes(vector.ctx)]];
      if (vector.result === "valid") {
        const plaintext = open(key, context, sealed);
        expect(plaintext.length).toBe(vector.msgLength);
        expect(createHash("sha512").update(plaintext).digest("hex")).toBe(vector.msgSha512);
        const again = sealWithSalt(key, context, sealed.subarray(0, saltBytes), plaintext);
        expect(Buffer.from(again).equals(sealed), `tcId ${vector.tcId}`).toBe(true);
      } else if (key.keyBytes() !== 32) {
        expect(() => open(key, context, sealed)).toThrow("input key is 32 bytes");
      } else {
        expect(
          isRejected(() => open(key, context, sealed)),
          `tcId ${vector.tcId}`,
        ).toBe(true);
      }
      ran.push(vector.tcId);
    }
    return ran;
  });

  it.each([0, 1, 16_383, 16_384, 16_385, 32_768, 65_536])("opens what it sealed, %i bytes", (length) => {
    const plaintext = randomBytes(length);
    const sealed = seal(key, context, plaintext);
    expect(sealed.length).toBe(sealedLength(length));
    expect(Buffer.from(open(key, context, sealed)).equals(plaintext)).toBe(true);
  });

  it("seals into memory that has room, and nowhere else", async () => {
    const value = Buffer.from("value");
    const room = Buffer.alloc(sealedLength(5) + 3, 0xee);
    sealInto(room, 2, key, context, value);
    expect([room[0], room[1], room.at(-1)]).toEqual([0xee, 0xee, 0xee]);
    const sealed = room.subarray(2, -1);
    expect(Buffer.from(open(key, [Buffer.from("con"), Buffer.from("text")], sealed)).equals(value)).toBe(true);
    expect(await thrownBy(() => sealInto(room, 4, key, context, value))).toBeKmsError("INTERNAL", "no room");
  });

  it("opens each message, whatever was sealed, opened or refused in between", () => {
    const messages = [0, 16_384, 5, 40_000].map((length) => randomBytes(length));
    const sealed = messages.map((message) => seal(key, context, message));
    const [truncated, other] = [Buffer.from(sealed[3]!).subarray(0, -1), inputKey(randomBytes(32))];
    expect(isRejected(() => open(key, context, truncated))).toBe(true);
    expect(isRejected(() => open(other, context, sealed[0]!))).toBe(true);
    for (const [index, message] of messages.entries()) {
      expect(Buffer.from(open(key, context, sealed[index]!)).equals(message)).toBe(true);
    }
  });

  it("never uses a salt twice", () => {
    const salts = new Set<string>();
    for (let i = 0; i < 1000; i += 1) {
      salts.add(Buffer.from(seal(key, context, Buffer.alloc(1)).subarray(0, saltBytes)).toString("hex"));
    }
    expect(salts.size).toBe(1000);
  });

  it("refuses another key and another context", () => {
    const sealed = seal(key, context, Buffer.from("value"));
    expect(isRejected(() => open(inputKey(randomBytes(32)), context, sealed))).toBe(true);
    expect(isRejected(() => open(key, [Buffer.from("contexT")], sealed))).toBe(true);
    expect(isRejected(() => open(key, [Buffer.alloc(0)], sealed))).toBe(true);
  });

  it("refuses every truncation of a message of two chunks", () => {
    const sealed = seal(key, context, randomBytes(16_384 + 5));
    const opened: number[] = [];
    for (let length = 0; length < sealed.length; length += 1) {
      if (!isRejected(() => open(key, context, sealed.subarray(0, length)))) opened.push(length);
    }
    expect(opened).toEqual([]);
  });

  it("refuses chunks that were swapped, repeated, dropped or taken from another message", () => {
    const chunk = 16_384 + 16;
    const plaintext = Buffer.concat([Buffer.alloc(16_384, "a"), Buffer.alloc(16_384, "b"), Buffer.from("c")]);
    const sealed = Buffer.from(seal(key, context, plaintext));
    const other = Buffer.from(seal(key, context, plaintext));
    const prefix = sealed.subarray(0, 56);
    const at = (message: Buffer, index: number) => message.subarray(56 + index * chunk, 56 + (index + 1) * chunk);
    const [a, b, c] = [0, 1, 2].map((index) => at(sealed, index)) as [Buffer, Buffer, Buffer];
    for (const chunks of [
      [b, a, c],
      [a, a, c],
      [a, b, b],
      [a, c],
      [b, c],
      [c],
      [a, b],
      [a, b, c, c],
      [at(other, 0), b, c],
    ]) {
      expect(isRejected(() => open(key, context, Buffer.concat([prefix, ...chunks])))).toBe(true);
    }
    expect(Buffer.from(open(key, context, Buffer.concat([prefix, a, b, c]))).equals(plaintext)).toBe(true);
  });

  it("refuses a key or a salt of another length as a bug", async () => {
    for (const bad of [inputKey(randomBytes(16)), createHkdfKey()]) {
      expect(await thrownBy(() => seal(bad, context, Buffer.alloc(1)))).toBeKmsError("INTERNAL", "is 32 bytes");
    }
    for (const length of [0, 23, 25]) {
      const call = () => sealWithSalt(key, context, randomBytes(length), Buffer.alloc(1));
      expect(await thrownBy(call)).toBeKmsError("INTERNAL");
    }
  });
});
