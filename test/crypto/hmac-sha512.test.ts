import { createHmac, randomBytes, randomInt } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type HmacSha512, hmacBytes, nodeHmacSha512, sodiumHmacSha512 } from "../../src/crypto/hmac-sha512.ts";
import { loadSodium, type Sodium } from "../../src/crypto/sodium.ts";
import { thrownBy } from "../matchers.ts";
import { bytes, itOnWycheproof } from "./wycheproof.ts";

const sodium = loadSodium() as Sodium;
const implementations = [
  { name: "sodium", make: () => sodiumHmacSha512(sodium) },
  { name: "node", make: nodeHmacSha512 },
];

function macOf(hmac: HmacSha512, key: Uint8Array, ...parts: Uint8Array[]): Buffer {
  const mac = Buffer.alloc(hmacBytes);
  hmac.begin(key);
  for (const part of parts) hmac.add(part);
  hmac.end(mac);
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

  it("agrees with node's of random keys and messages, long after short and short after long, in any parts", () => {
    const hmac = make();
    for (let i = 0; i < 500; i += 1) {
      const [key, message] = [randomBytes(randomInt(129)), randomBytes(randomInt(i % 10 === 0 ? 70_000 : 700))];
      const cut = randomInt(message.length + 1);
      const mac = macOf(hmac, key, message.subarray(0, cut), message.subarray(cut));
      expect(mac.equals(createHmac("sha512", key).update(message).digest()), `message ${i}`).toBe(true);
    }
  });

  it("may add where it wrote the last MAC, as HKDF does", () => {
    const [hmac, key, block] = [make(), randomBytes(32), Buffer.alloc(hmacBytes)];
    hmac.begin(key);
    hmac.end(block);
    const first = Buffer.from(block);
    hmac.begin(key);
    hmac.add(block);
    hmac.end(block);
    expect(block).toEqual(macOf(make(), key, first));
  });

  it("refuses a key of more than a block, which would be hashed first", async () => {
    expect(await thrownBy(() => make().begin(Buffer.alloc(129)))).toBeKmsError("INTERNAL", "at most 128 bytes");
  });
});

describe("HMAC-SHA-512 by sodium", () => {
  it("leaves nothing of key and message in the memory that it keeps", () => {
    const seen: Uint8Array[] = [];
    const spied = {
      crypto_hash_sha512(digest: Uint8Array, message: Uint8Array) {
        seen.push(digest, message);
        sodium.crypto_hash_sha512(digest, message);
      },
    };
    const hmac = sodiumHmacSha512(spied);
    const key = Buffer.alloc(32, 1);
    // The second message outgrows the memory in which its key lies already.
    const macs = [
      macOf(hmac, key, Buffer.alloc(400, 2)),
      macOf(hmac, key, Buffer.alloc(400, 2), Buffer.alloc(1500, 3)),
    ];
    const kept = seen.filter((each) => macs.every((mac) => each.buffer !== mac.buffer));
    expect(new Set(kept.map(({ buffer }) => buffer)).size).toBe(3);
    for (const each of kept) expect(new Uint8Array(each.buffer).every((byte) => byte === 0)).toBe(true);
  });

  it("leaves nothing either where a hash fails", () => {
    let seen = new Uint8Array();
    const hmac = sodiumHmacSha512({
      crypto_hash_sha512(_digest: Uint8Array, message: Uint8Array) {
        seen = new Uint8Array(message.buffer as ArrayBuffer);
        throw new Error("no hash");
      },
    });
    expect(() => macOf(hmac, Buffer.alloc(32, 1), Buffer.alloc(400, 2))).toThrow("no hash");
    expect(seen.length).toBeGreaterThan(400);
    expect(seen.every((byte) => byte === 0)).toBe(true);
  });
});
