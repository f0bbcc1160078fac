import { createHmac, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createHkdfKey, hkdfExpand, maxExpandBytes } from "../../src/crypto/hkdf.ts";
import { thrownBy } from "../support/matchers.ts";
import { bytes, itOnWycheproof } from "../support/wycheproof.ts";

/** The step that the service does not need: HKDF-Extract, RFC 5869 §2.2. */
function extract(salt: Buffer, ikm: Buffer): Buffer {
  return createHmac("sha512", salt).update(ikm).digest();
}

function expand(key: Uint8Array, info: readonly Uint8Array[], length: number): Buffer {
  const output = Buffer.alloc(length);
  hkdfExpand(key, info, output);
  return output;
}

describe("HKDF-Expand-SHA-512", () => {
  itOnWycheproof("agrees with Wycheproof, after an Extract of node's own", "hkdf_sha512_test.json", (groups) => {
    const ran: number[] = [];
    for (const vector of groups.flatMap((group) => group.tests)) {
      const okm = () => {
        const prk = extract(bytes(vector.salt), bytes(vector.ikm));
        return expand(prk, [bytes(vector.info)], vector.size as number).toString("hex");
      };
      if (vector.result === "valid") expect(okm(), `tcId ${vector.tcId}`).toBe(vector.okm);
      else expect(okm, `tcId ${vector.tcId}`).toThrow("HKDF-Expand gives");
      ran.push(vector.tcId);
    }
    return ran;
  });

  it("gives a longer output that begins with the shorter one", () => {
    const key = Buffer.alloc(32, 7);
    const long = expand(key, [Buffer.from("info")], maxExpandBytes);
    for (const length of [1, 32, 64, 65, 76, 128, 129]) {
      expect(long.subarray(0, length).equals(expand(key, [Buffer.from("info")], length))).toBe(true);
    }
  });

  it("takes the parts of the info as one", () => {
    const key = Buffer.alloc(32, 7);
    const whole = expand(key, [Buffer.from("information")], 100);
    expect(
      expand(
        key,
        ["inf", "", "orma", "tion"].map((part) => Buffer.from(part)),
        100,
      ),
    ).toEqual(whole);
    expect(expand(key, [Buffer.from("informatioN")], 100)).not.toEqual(whole);
  });

  it("gives for a key that is kept what it gives for one that is not, of long info and short", async () => {
    const [kept, bytes] = [createHkdfKey(), randomBytes(32)];
    kept.use(bytes);
    expect(kept.keyBytes()).toBe(32);
    for (const length of [0, 2000, 5, 4000, 40]) {
      const info = [randomBytes(length), Buffer.from("label")];
      const output = Buffer.alloc(76);
      kept.expand(info, output);
      expect(output).toEqual(expand(bytes, info, 76));
    }
    kept.forget();
    expect(kept.keyBytes()).toBe(0);
    expect(await thrownBy(() => kept.expand([], Buffer.alloc(1)))).toBeKmsError("INTERNAL", "without a key");
  });

  it.each([0, maxExpandBytes + 1])("refuses a length of %d as a bug", async (length) => {
    expect(await thrownBy(() => expand(Buffer.alloc(32), [], length))).toBeKmsError("INTERNAL");
  });
});
