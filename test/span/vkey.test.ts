import { describe, expect, it } from "vitest";
import { verifierKey } from "../../src/span/vkey.ts";
import { thrownBy } from "../matchers.ts";

// The example of C2SP signed-note.
const example = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const publicKey = new Uint8Array(Buffer.from(example.split("+")[2]!, "base64").subarray(1));

describe("a verifier key", () => {
  it("is the specification's for its example", () => {
    expect(verifierKey("example.com/foo", publicKey)).toBe(example);
  });

  it("has another key id under another name", () => {
    expect(verifierKey("example.com/bar", publicKey).split("+")[1]).not.toBe("530d903a");
  });

  it.each(["", "a b", "a+b", "a\nb", "a\u00a0b"])("is refused for the name '%s'", async (name) => {
    expect(await thrownBy(() => verifierKey(name, publicKey))).toBeKmsError("INTERNAL", "name");
  });

  it("is refused for a key of another length", async () => {
    expect(await thrownBy(() => verifierKey("example.com/foo", publicKey.subarray(1)))).toBeKmsError(
      "INTERNAL",
      "32 bytes",
    );
  });
});
