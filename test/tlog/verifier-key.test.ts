import { describe, expect, it } from "vitest";
import { parseVerifierKey, verifierKey } from "../../src/tlog/verifier-key.ts";
import { thrownBy } from "../support/matchers.ts";

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

  it("gives name and key back", () => {
    expect(parseVerifierKey(example)).toEqual({ name: "example.com/foo", publicKey });
    // Its base64 has a + of its own.
    const plus = verifierKey("a", new Uint8Array(32).fill(0xfb));
    expect(plus.split("+").length).toBeGreaterThan(3);
    expect(parseVerifierKey(plus)).toEqual({ name: "a", publicKey: new Uint8Array(32).fill(0xfb) });
  });

  it.each([
    ["nothing", ""],
    ["another name", example.replace("foo", "bar")],
    ["another key id", example.replace("530d903a", "530d903b")],
    ["an upper-case key id", example.replace("530d903a", "530D903A")],
    ["another algorithm", example.replace("AekyeRrm", "AukyeRrm")],
    ["another key", example.replace("2k", "2l")],
    ["a key cut short", example.slice(0, -4)],
    ["no name", example.replace("example.com/foo", "")],
    ["a space in its name", example.replace("foo", "f o")],
    ["a line feed at its end", `${example}\n`],
    ["a BOM", `\ufeff${example}`],
  ])("is refused with %s", (_, altered) => {
    expect(altered).not.toBe(example);
    expect(parseVerifierKey(altered)).toBeUndefined();
  });
});
