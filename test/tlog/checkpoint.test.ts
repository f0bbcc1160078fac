import { describe, expect, it } from "vitest";
import { signingKey } from "../../src/crypto/ed25519.ts";
import { checkpointText, parseCheckpoint, signCheckpoint } from "../../src/tlog/checkpoint.ts";
import { parseNote, signersOf } from "../../src/tlog/signed-note.ts";

const checkpoint = { origin: "kms.example.com/acme", size: 20_852_163, root: Buffer.alloc(32, 7) };
const text = checkpointText(checkpoint);
const root = checkpoint.root.toString("base64");

describe("a checkpoint", () => {
  it("gives origin, size and root back", () => {
    expect(parseCheckpoint(text)).toEqual(checkpoint);
    for (const size of [0, Number.MAX_SAFE_INTEGER]) {
      expect(parseCheckpoint(checkpointText({ ...checkpoint, size }))).toEqual({ ...checkpoint, size });
    }
  });

  it("may have further lines, which mean nothing here", () => {
    expect(parseCheckpoint(`${text}extension one\ntwo\n`)).toEqual(checkpoint);
  });

  it("is signed by each key, in their order, under the name of its origin", () => {
    const keys = [1, 2, 3].map((byte) => signingKey(new Uint8Array(32).fill(byte)));
    const signed = parseNote(signCheckpoint(checkpoint, keys[1]!, keys[0]!))!;
    const named = keys.map(({ publicKey }) => ({ name: checkpoint.origin, publicKey }));
    expect(parseCheckpoint(signed.text)).toEqual(checkpoint);
    expect(signersOf(signed, named)).toEqual([named[1], named[0]]);
    expect(signersOf(signed, [{ name: "kms.example.com/other", publicKey: named[0]!.publicKey }])).toEqual([]);
  });

  it.each([
    ["nothing", ""],
    ["no root", `${text.split("\n").slice(0, 2).join("\n")}\n`],
    ["no line feed at its end", text.slice(0, -1)],
    ["an empty origin", text.replace(checkpoint.origin, "")],
    ["an empty line behind", `${text}\n`],
    ["an empty line between further ones", `${text}one\n\ntwo\n`],
    ["a size with a leading zero", text.replace("20852163", "020852163")],
    ["a size with a sign", text.replace("20852163", "+20852163")],
    ["a negative size", text.replace("20852163", "-1")],
    ["a size in hex", text.replace("20852163", "0x10")],
    ["a size with an exponent", text.replace("20852163", "1e3")],
    ["an empty size", text.replace("20852163", "")],
    ["a size past 2^53", text.replace("20852163", "9007199254740992")],
    ["a root of 31 bytes", text.replace(root, Buffer.alloc(31).toString("base64"))],
    ["a root of 33 bytes", text.replace(root, Buffer.alloc(33).toString("base64"))],
    ["a root in base64url", text.replace(root, Buffer.alloc(32, 0xff).toString("base64url"))],
    ["a root with other trailing bits", text.replace(/.=\n$/, "d=\n")],
    ["white space", text.replace("20852163", " 20852163")],
  ])("is refused with %s", (_, altered) => {
    expect(altered).not.toBe(text);
    expect(parseCheckpoint(altered)).toBeUndefined();
  });
});
