import { createHmac, randomBytes, randomInt } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type HmacSha512, hmacBytes, nodeHmacSha512, sodiumHmacSha512 } from "../../src/crypto/hmac-sha512.ts";
import { loadSodium, type Sodium } from "../../src/crypto/sodium.ts";
import { thrownBy } from "../support/matchers.ts";
import { bytes, itOnWycheproof } from "../support/wycheproof.ts";

const sodium = loadSodium() as Sodium;
const implementations = [
  { name: "sodium", make: sodiumHmacSha512(sodium) },
  { name: "node", make: nodeHmacSha512 },
];

function macOf(hmac: HmacSha512, key: Uint8Array, message: Uint8Array): Buffer {
  const mac = Buffer.alloc(hmacBytes);
  hmac.use(key);
  hmac.mac(mac, message);
  return mac;
}

// RFC 4231, test cases 1 and 2.
const rfc4231 = [
  {
    key: "0b".repeat(20),
    data: "Hi There",
    mac: "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
  },
  {
    key: Buffer.from("Jefe").toString("hex"),
    data: "what do ya want for nothing?",
    mac: "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
  },
];

describe.each(implementations)("HMAC-SHA-512 by $name", ({ name, make }) => {
  it.each(rfc4231)("makes the RFC's MAC of '$data'", ({ key, data, mac }) => {
    expect(macOf(make(), bytes(key), Buffer.from(data)).toString("hex")).toBe(mac);
  });

  itOnWycheproof(`agrees with Wycheproof, by ${name}`, "hmac_sha512_test.json", (groups) => {
    const ran: number[] = [];
    const hmac = make();
    for (const { tests, tagSize } of groups) {
      for (const vector of tests) {
        const [key, msg, tag] = ["key", "msg", "tag"].map((member) => bytes(vector[member]));
        const mac = macOf(hmac, key!, msg!);
        const same = mac.subarray(0, (tagSize as number) / 8).equals(tag!);
        expect(same, `tcId ${vector.tcId}`).toBe(vector.result === "valid");
        ran.push(vector.tcId);
      }
    }
    return ran;
  });

  it("agrees with node's, of random keys and of messages long and short, several a key", () => {
    const hmac = make();
    for (let i = 0; i < 200; i += 1) {
      const key = randomBytes(randomInt(129));
      hmac.use(key);
      for (const longest of [700, 70_000, 700]) {
        const message = randomBytes(randomInt(longest));
        const mac = Buffer.alloc(hmacBytes);
        hmac.mac(mac, message);
        expect(mac, `key ${i}`).toEqual(createHmac("sha512", key).update(message).digest());
      }
    }
  });

  it("keeps keys apart, each until another is used or it is forgotten", async () => {
    const [one, other, mac] = [make(), make(), Buffer.alloc(hmacBytes)];
    const message = Buffer.from("message");
    const expected = [1, 2].map((byte) => macOf(make(), Buffer.alloc(32, byte), message));
    const key = Buffer.alloc(32, 1);
    one.use(key);
    key.fill(0);
    other.use(Buffer.alloc(32, 2));
    one.mac(mac, message);
    expect(mac).toEqual(expected[0]);
    other.mac(mac, message);
    expect(mac).toEqual(expected[1]);
    one.forget();
    expect(await thrownBy(() => one.mac(mac, message))).toBeKmsError("INTERNAL", "without a key");
    other.mac(mac, message);
    expect(mac).toEqual(expected[1]);
    one.use(Buffer.alloc(32, 2));
    one.mac(mac, message);
    expect(mac).toEqual(expected[1]);
  });

  it("makes no MAC before it has a key", async () => {
    expect(await thrownBy(() => make().mac(Buffer.alloc(hmacBytes), Buffer.alloc(1)))).toBeKmsError("INTERNAL");
  });

  it("writes the MAC where the message was, as HKDF does", () => {
    const [hmac, key] = [make(), randomBytes(32)];
    const message = randomBytes(hmacBytes + 10);
    const expected = createHmac("sha512", key).update(message).digest();
    hmac.use(key);
    hmac.mac(message.subarray(0, hmacBytes), message);
    expect(message.subarray(0, hmacBytes)).toEqual(expected);
  });

  it("refuses a key of more than a block, which would be hashed first", async () => {
    expect(await thrownBy(() => make().use(Buffer.alloc(129)))).toBeKmsError("INTERNAL", "at most 128 bytes");
  });
});

describe("HMAC-SHA-512 by sodium", () => {
  const key = Buffer.alloc(32, 1);
  const message = Buffer.alloc(400, 2);
  const mac = Buffer.alloc(hmacBytes);

  /** Of the MAC, the message and all that sodium was given: what is not the caller's own. */
  function spiedOn() {
    const seen = new Set<ArrayBufferLike>();
    const see = (...all: Uint8Array[]) => {
      for (const each of all) seen.add(each.buffer);
    };
    let fails = false;
    const hmac = sodiumHmacSha512({
      crypto_hash_sha512_STATEBYTES: sodium.crypto_hash_sha512_STATEBYTES,
      crypto_hash_sha512_init(state) {
        see(state);
        sodium.crypto_hash_sha512_init(state);
      },
      crypto_hash_sha512_update(state, bytes) {
        see(state, bytes);
        sodium.crypto_hash_sha512_update(state, bytes);
        if (fails) throw new Error("no hash");
      },
      crypto_hash_sha512_final(state, digest) {
        see(state, digest);
        sodium.crypto_hash_sha512_final(state, digest);
      },
    })();
    const kept = () => [...seen].filter((buffer) => buffer !== mac.buffer && buffer !== message.buffer);
    const fail = () => {
      fails = true;
    };
    return { hmac, kept, fail };
  }

  const isEmpty = (buffer: ArrayBufferLike) => new Uint8Array(buffer).every((byte) => byte === 0);

  it("keeps of a key the states alone, in memory of its own, and nothing of a message", () => {
    const { hmac, kept } = spiedOn();
    hmac.use(key);
    hmac.mac(mac, message);
    const full = kept().filter((buffer) => !isEmpty(buffer));
    expect(full.map(({ byteLength }) => byteLength)).toEqual([2 * sodium.crypto_hash_sha512_STATEBYTES]);
    hmac.forget();
    expect(kept().length).toBe(4);
    expect(kept().every(isEmpty)).toBe(true);
  });

  it("leaves nothing either where a hash fails", () => {
    const { hmac, kept, fail } = spiedOn();
    hmac.use(key);
    fail();
    expect(() => hmac.mac(mac, message)).toThrow("no hash");
    expect(() => hmac.use(key)).toThrow("no hash");
    expect(() => hmac.mac(mac, message)).toThrow("without a key");
    hmac.forget();
    expect(kept().length).toBeGreaterThan(1);
    expect(kept().every(isEmpty)).toBe(true);
  });
});
