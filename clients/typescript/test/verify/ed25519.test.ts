/** Ed25519 by WebCrypto, on vectors that try what implementations get wrong, against the service's own. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { chooseEd25519 } from "../../../../src/crypto/ed25519.ts";
import { webCrypto } from "../../src/verify/crypto.ts";

const file = new URL("../../../../../shared/vectors/wycheproof/ed25519_test.json", import.meta.url);

interface Group {
  publicKey: { pk: string };
  tests: { tcId: number; msg: string; sig: string; result: "valid" | "invalid" }[];
}
const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

describe.skipIf(!existsSync(file))("Wycheproof", () => {
  it("is decided as the vectors and the service decide it", async () => {
    const { testGroups }: { testGroups: Group[] } = JSON.parse(readFileSync(file, "utf8"));
    const [ours, theirs] = [webCrypto(), chooseEd25519()];
    for (const { publicKey, tests } of testGroups) {
      for (const { tcId, msg, sig, result } of tests) {
        const [key, message, signature] = [hex(publicKey.pk), hex(msg), hex(sig)];
        expect(await ours.isSignedBy(key, message, signature), `${tcId}`).toBe(result === "valid");
        expect(theirs.verifySignature(key, message, signature), `${tcId}`).toBe(result === "valid");
      }
    }
  });
});

it("refuses keys under which a signature fits many messages", async () => {
  const identity = hex(`01${"00".repeat(31)}`);
  const signature = hex(`01${"00".repeat(31)}${"00".repeat(32)}`);
  for (const key of [identity, hex(`ee${"ff".repeat(30)}7f`), hex("00".repeat(32)), hex(`02${"00".repeat(31)}`)])
    expect(await webCrypto().isSignedBy(key, hex("00"), signature)).toBe(false);
});
