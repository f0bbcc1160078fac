import { describe, expect, it } from "vitest";
import { hashesOf, parseTlogProof, tlogProofText } from "../../src/tlog/inclusion-proof.ts";

const hashes = [1, 2, 3].map((byte) => Buffer.alloc(32, byte));
const checkpoint = "kms.example.com/acme\n8\nAAAA\n\n— kms.example.com/acme AAAA\n";
const proof = { index: 5, path: Buffer.concat(hashes), checkpoint };
const text = tlogProofText(proof);
const lines = text.split("\n");

describe("a log proof", () => {
  it("is the specification's lines", () => {
    expect(lines.slice(0, 6)).toEqual([
      "c2sp.org/tlog-proof@v1",
      "index 5",
      ...hashes.map((hash) => hash.toString("base64")),
      "",
    ]);
    expect(text.endsWith(`\n\n${checkpoint}`)).toBe(true);
  });

  it("gives its parts back, also without hashes", () => {
    expect(parseTlogProof(text)).toEqual(proof);
    expect(hashesOf(proof.path)).toEqual(hashes);
    const only = { index: 0, path: Buffer.alloc(0), checkpoint };
    expect(parseTlogProof(tlogProofText(only))).toEqual(only);
  });

  it("may have extra data, which nothing authenticates and nobody reads", () => {
    expect(parseTlogProof(text.replace("index", "extra AAAA\nindex"))).toEqual(proof);
    expect(parseTlogProof(text.replace("index", "extra \nindex"))).toEqual(proof);
  });

  it("has the checkpoint as it stands, which is for the note's reader to refuse", () => {
    expect(parseTlogProof(`${text}more`)?.checkpoint).toBe(`${checkpoint}more`);
  });

  it.each([
    ["nothing", ""],
    ["another version", text.replace("@v1", "@v2")],
    ["something before it", `\n${text}`],
    ["CR LF", text.replaceAll("\n", "\r\n")],
    ["no checkpoint", text.slice(0, text.indexOf("\n\n") + 1)],
    ["no index", text.replace("index 5\n", "")],
    ["two indices", text.replace("index 5\n", "index 5\nindex 5\n")],
    ["an index with a leading zero", text.replace("index 5", "index 05")],
    ["a negative index", text.replace("index 5", "index -5")],
    ["an index past 2^53", text.replace("index 5", "index 9007199254740992")],
    ["two spaces", text.replace("index 5", "index  5")],
    ["a space behind the index", text.replace("index 5", "index 5 ")],
    ["extra data that is not base64", text.replace("index", "extra !\nindex")],
    ["extra data behind the index", text.replace("index 5\n", "index 5\nextra AAAA\n")],
    ["extra data twice", text.replace("index", "extra AAAA\nextra AAAA\nindex")],
    ["a hash of 31 bytes", text.replace(lines[3]!, Buffer.alloc(31).toString("base64"))],
    ["a hash in base64url", text.replace(lines[3]!, Buffer.alloc(32, 0xff).toString("base64url"))],
    ["a hash without padding", text.replace(lines[3]!, lines[3]!.replace("=", ""))],
    ["54 hashes", tlogProofText({ ...proof, path: Buffer.alloc(54 * 32) })],
  ])("is refused with %s", (_, altered) => {
    expect(altered).not.toBe(text);
    expect(parseTlogProof(altered)).toBeUndefined();
  });
});
