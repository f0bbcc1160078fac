/** Ed25519 by WebCrypto, on vectors that try what implementations get wrong, against the service's own. */
import { expect, it } from "vitest";
import { chooseEd25519 } from "../../../../src/crypto/ed25519.ts";
import { itOnWycheproof } from "../../../../test/support/wycheproof.ts";
import { webCrypto } from "../../src/verify/crypto.ts";

const hex = (text: unknown) => new Uint8Array(Buffer.from(text as string, "hex"));

itOnWycheproof("decides as the vectors and the service decide", "ed25519_test.json", async (groups) => {
  const [ours, theirs] = [webCrypto(), chooseEd25519()];
  const ran: number[] = [];
  for (const { publicKey, tests } of groups) {
    for (const { tcId, msg, sig, result } of tests) {
      const [key, message, signature] = [hex((publicKey as { pk: string }).pk), hex(msg), hex(sig)];
      expect(await ours.isSignedBy(key, message, signature), `${tcId}`).toBe(result === "valid");
      expect(theirs.verifySignature(key, message, signature), `${tcId}`).toBe(result === "valid");
      ran.push(tcId);
    }
  }
  return ran;
});

it("refuses keys under which a signature fits many messages", async () => {
  const identity = hex(`01${"00".repeat(31)}`);
  const signature = hex(`01${"00".repeat(31)}${"00".repeat(32)}`);
  for (const key of [identity, hex(`ee${"ff".repeat(30)}7f`), hex("00".repeat(32)), hex(`02${"00".repeat(31)}`)])
    expect(await webCrypto().isSignedBy(key, hex("00"), signature)).toBe(false);
});
