import { createHmac, createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { hkdfExpand, maxExpandBytes } from "../../src/crypto/hkdf.ts";
import { thrownBy } from "../matchers.ts";
import { bytes, itOnWycheproof } from "./wycheproof.ts";

/** The step that the service does not need: HKDF-Extract, RFC 5869 §2.2. */
function extract(salt: Buffer, ikm: Buffer): Buffer {
  return createHmac("sha512", salt).update(ikm).digest();
}

describe("HKDF-Expand-SHA-512", () => {
  itOnWycheproof("agrees with Wycheproof, after an Extract of node's own", "hkdf_sha512_test.json", (groups) => {
    const ran: number[] = [];
    for (const vector of groups.flatMap((group) => group.tests)) {
      const expand = () => {
        const prk = extract(bytes(vector.salt), bytes(vector.ikm));
        return Buffer.from(hkdfExpand(prk, bytes(vector.info), vector.size as number)).toString("hex");
      };
      if (vector.result === "valid") expect(expand(), `tcId ${vector.tcId}`).toBe(vector.okm);
      else expect(expand, `tcId ${vector.tcId}`).toThrow("HKDF-Expand gives");
      ran.push(vector.tcId);
    }
    return ran;
  });

  itOnWycheproof("stands on an HMAC-SHA-512 that agrees with Wycheproof", "hmac_sha512_test.json", (groups) => {
    const ran: number[] = [];
    for (const { tests, tagSize } of groups) {
      for (const vector of tests) {
        const [key, msg, tag] = ["key", "msg", "tag"].map((member) => bytes(vector[member]));
        const valid = vector.result === "valid";
        const made = [createHmac("sha512", key!).update(msg!).digest()];
        made.push(createHmac("sha512", createSecretKey(key!)).update(msg!).digest());
        // T(1) = HMAC(key, info ‖ 0x01): a message that ends in 0x01 goes through our own code too.
        if (msg!.at(-1) === 0x01) made.push(Buffer.from(hkdfExpand(key!, msg!.subarray(0, -1), 64)));
        for (const mac of made) {
          expect(mac.subarray(0, (tagSize as number) / 8).equals(tag!), `tcId ${vector.tcId}`).toBe(valid);
        }
        ran.push(vector.tcId);
      }
    }
    return ran;
  });

  it("gives a longer output that begins with the shorter one", () => {
    const key = Buffer.alloc(32, 7);
    const long = Buffer.from(hkdfExpand(key, Buffer.from("info"), maxExpandBytes));
    for (const length of [1, 32, 64, 65, 76, 128, 129]) {
      expect(long.subarray(0, length).equals(hkdfExpand(key, Buffer.from("info"), length))).toBe(true);
    }
  });

  it.each([0, -1, 1.5, Number.NaN, maxExpandBytes + 1])("refuses a length of %d as a bug", async (length) => {
    expect(await thrownBy(() => hkdfExpand(Buffer.alloc(32), Buffer.alloc(0), length))).toBeKmsError("INTERNAL");
  });
});
