import { describe, expect, it } from "vitest";
import * as ed25519 from "../../src/crypto/ed25519.ts";
import { nodeEd25519 } from "../../src/crypto/ed25519-node.ts";
import { sodiumEd25519 } from "../../src/crypto/ed25519-sodium.ts";
import { loadSodium, type Sodium } from "../../src/crypto/sodium.ts";
import { thrownBy } from "../support/matchers.ts";
import { bytes, itOnWycheproof } from "../support/wycheproof.ts";

const sodium = loadSodium() as Sodium;
const message = new TextEncoder().encode("what is signed");

const implementations = [
  { name: "sodium", ed: sodiumEd25519(sodium) },
  { name: "node", ed: nodeEd25519() },
];

// RFC 8032, 7.1: TEST 1 and TEST 3.
const rfc8032 = [
  {
    seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    message: "",
    signature:
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  },
  {
    seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    message: "af82",
    signature:
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  },
];

describe.each(implementations)("Ed25519 by $name", ({ name, ed }) => {
  it.each(rfc8032)("makes and takes the RFC's signature of '$message'", (vector) => {
    const key = ed.signingKey(bytes(vector.seed));
    expect(Buffer.from(key.publicKey).toString("hex")).toBe(vector.publicKey);
    expect(Buffer.from(key.sign(bytes(vector.message))).toString("hex")).toBe(vector.signature);
    expect(ed.verifySignature(key.publicKey, bytes(vector.message), bytes(vector.signature))).toBe(true);
    expect(ed.publicKeyOf(bytes(vector.seed))).toEqual(key.publicKey);
  });

  it("refuses a signature with any one bit of signature, message or key changed", () => {
    const key = ed.signingKey(new Uint8Array(32).fill(7));
    const signature = key.sign(message);
    for (let bit = 0; bit < 512; bit += 1) {
      expect(ed.verifySignature(key.publicKey, message, flipped(signature, bit))).toBe(false);
    }
    expect(ed.verifySignature(key.publicKey, flipped(message, 3), signature)).toBe(false);
    expect(ed.verifySignature(flipped(key.publicKey, 9), message, signature)).toBe(false);
  });

  it("refuses signatures and public keys of other lengths", () => {
    const key = ed.signingKey(new Uint8Array(32).fill(7));
    const signature = key.sign(message);
    expect(ed.verifySignature(key.publicKey, message, signature.subarray(0, 63))).toBe(false);
    expect(ed.verifySignature(key.publicKey, message, new Uint8Array([...signature, 0]))).toBe(false);
    expect(ed.verifySignature(key.publicKey.subarray(1), message, signature)).toBe(false);
    expect(ed.verifySignature(new Uint8Array(0), message, new Uint8Array(0))).toBe(false);
  });

  it.each([`01${"00".repeat(31)}`, "00".repeat(32), `ee${"ff".repeat(30)}7f`, `ec${"ff".repeat(30)}ff`])(
    "refuses the small-order public key %s, under which one signature fits every message",
    (publicKey) => {
      const signature = bytes(`01${"00".repeat(31)}${"00".repeat(32)}`);
      expect(ed.verifySignature(bytes(publicKey), message, signature)).toBe(false);
    },
  );

  it("refuses a seed that is not 32 bytes", async () => {
    expect(await thrownBy(() => ed.signingKey(new Uint8Array(31)))).toBeKmsError("INTERNAL", "32 bytes");
    expect(await thrownBy(() => ed.publicKeyOf(new Uint8Array(64)))).toBeKmsError("INTERNAL", "32 bytes");
  });

  it("keeps signing when the caller overwrites its seed", () => {
    const seed = new Uint8Array(32).fill(9);
    const key = ed.signingKey(seed);
    const before = key.sign(message);
    seed.fill(0);
    expect(key.sign(message)).toEqual(before);
  });

  it("signs into memory that is at hand, and copies its seed", () => {
    const seed = new Uint8Array(32).fill(9);
    const key = ed.signingKey(seed);
    const signature = new Uint8Array(64);
    key.signInto(signature, message);
    expect(signature).toEqual(key.sign(message));
    const copy = new Uint8Array(new SharedArrayBuffer(32));
    key.copySeed(copy);
    expect(copy).toEqual(new Uint8Array(new SharedArrayBuffer(32)).fill(9));
    expect(ed.signingKey(copy).sign(message)).toEqual(signature);
  });

  it("refuses to sign or to copy its seed after destroy, also when its place has gone to another key", async () => {
    const key = ed.signingKey(new Uint8Array(32).fill(1));
    key.destroy();
    key.destroy();
    const next = ed.signingKey(new Uint8Array(32).fill(2));
    const into = new Uint8Array(64);
    for (const use of [() => key.sign(message), () => key.signInto(into, message), () => key.copySeed(into)]) {
      expect(await thrownBy(use)).toBeKmsError("INTERNAL", "destroyed");
    }
    expect(into).toEqual(new Uint8Array(64));
    key.destroy();
    expect(ed.verifySignature(next.publicKey, message, next.sign(message))).toBe(true);
  });

  itOnWycheproof(`gives Wycheproof's verdict on every vector, by ${name}`, "ed25519_test.json", (groups) => {
    const ran: number[] = [];
    for (const { tests, publicKey } of groups) {
      for (const { tcId, comment, msg, sig, result } of tests) {
        const verified = ed.verifySignature(bytes((publicKey as { pk: string }).pk), bytes(msg), bytes(sig));
        expect(verified, `vector ${tcId}: ${comment}`).toBe(result === "valid");
        ran.push(tcId);
      }
    }
    return ran;
  });
});

describe("both implementations", () => {
  it("make the same signatures and take each other's", () => {
    const [a, b] = implementations.map(({ ed }) => ed);
    for (let i = 0; i < 50; i += 1) {
      const seed = new Uint8Array(32).fill(i);
      const text = new Uint8Array(i * 7).fill(i);
      const signature = a!.signingKey(seed).sign(text);
      expect(b!.signingKey(seed).sign(text)).toEqual(signature);
      expect(b!.verifySignature(a!.publicKeyOf(seed), text, signature)).toBe(true);
    }
  });
});

describe("the slab of secrets", () => {
  /** sodium-native, with its slabs in sight. */
  function watched() {
    const slabs: Uint8Array[] = [];
    const sodium_malloc: Sodium["sodium_malloc"] = (size) => {
      slabs.push(sodium.sodium_malloc(size));
      return slabs.at(-1)! as ReturnType<Sodium["sodium_malloc"]>;
    };
    return { slabs, spy: { ...sodium, sodium_malloc } };
  }

  it("holds seed ‖ public key while the key lives, and zeroes it on destroy", () => {
    const { slabs, spy } = watched();
    const seed = new Uint8Array(32).fill(5);
    const key = sodiumEd25519(spy, 2).signingKey(seed);
    expect(new Uint8Array(slabs[0]!)).toEqual(new Uint8Array([...seed, ...key.publicKey, ...new Uint8Array(64)]));
    key.destroy();
    expect(slabs[0]!.every((byte) => byte === 0)).toBe(true);
  });

  it("leaves nothing behind when only the public key was asked for", () => {
    const { slabs, spy } = watched();
    sodiumEd25519(spy, 2).publicKeyOf(new Uint8Array(32).fill(5));
    expect(slabs[0]!.every((byte) => byte === 0)).toBe(true);
  });

  it("grows by a slab only when every slot is taken, and uses freed slots again", () => {
    const { slabs, spy } = watched();
    const ed = sodiumEd25519(spy);
    const keys = Array.from({ length: 2048 }, (_, i) => ed.signingKey(new Uint8Array(32).fill(i % 256)));
    expect(slabs.length).toBe(1);
    keys[100]!.destroy();
    ed.signingKey(new Uint8Array(32));
    expect(slabs.length).toBe(1);
    const next = ed.signingKey(new Uint8Array(32).fill(3));
    expect(slabs.length).toBe(2);
    expect(next.sign(message)).toEqual(keys[3]!.sign(message));
  });

  it("says that it is locked, and says so when the system refused", () => {
    expect(sodiumEd25519({ ...sodium, sodium_mlock: () => {} }).memoryProtection()).toEqual({
      implementation: "sodium",
      locked: true,
    });
    const refuses = () => {
      throw new Error("memory lock failed");
    };
    expect(sodiumEd25519({ ...sodium, sodium_mlock: refuses }).memoryProtection().locked).toBe(false);
    expect(nodeEd25519().memoryProtection()).toEqual({ implementation: "node", locked: false });
  });
});

describe("the choice", () => {
  it("falls on libsodium where its addon loads", () => {
    expect(ed25519.memoryProtection().implementation).toBe("sodium");
    const key = ed25519.signingKey(new Uint8Array(32).fill(1));
    expect(ed25519.publicKeyOf(new Uint8Array(32).fill(1))).toEqual(key.publicKey);
    expect(ed25519.verifySignature(key.publicKey, message, key.sign(message))).toBe(true);
    expect(ed25519.verifySignature(key.publicKey, flipped(message, 0), key.sign(message))).toBe(false);
  });
});

function flipped(source: Uint8Array, bit: number): Uint8Array {
  const copy = new Uint8Array(source);
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}
