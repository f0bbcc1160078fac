import { describe, expect, it } from "vitest";
import { signingKey } from "../../src/crypto/ed25519.ts";
import { parseNote, signersOf, signNote } from "../../src/tlog/signed-note.ts";
import { parseVerifierKey } from "../../src/tlog/verifier-key.ts";

const name = "kms.example.com/acme";
const [first, second, stranger] = [1, 2, 3].map((byte) => signingKey(new Uint8Array(32).fill(byte)));
const key = { name, publicKey: first!.publicKey };
const next = { name, publicKey: second!.publicKey };
const text = "one\n\ntwo\n";
const note = signNote(text, { name, key: first! });
const both = signNote(text, { name, key: first! }, { name, key: second! });

/** Signatures of others: an unknown key, a known name with an unknown key, a known key under another name, another algorithm's. */
const others = `${signNote(
  text,
  { name: "witness.example", key: stranger! },
  { name, key: stranger! },
  { name: "other", key: first! },
).slice(text.length + 1)}— witness.example ${Buffer.alloc(4 + 3300, 7).toString("base64")}\n`;

const signers = (signed: string, keys = [key, next]) => signersOf(parseNote(signed)!, keys);

describe("a note", () => {
  it("is the text, its last empty line, and the signatures", () => {
    expect(parseNote(both)).toEqual({
      whole: both,
      text,
      signatures: [expect.objectContaining({ name }), expect.objectContaining({ name })],
    });
    expect(parseNote(both)!.signatures.map(({ keyId, signature }) => [keyId.length, signature.length])).toEqual([
      [4, 64],
      [4, 64],
    ]);
  });

  it("verifies by the specification's example", () => {
    const example =
      "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
      "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const vkey = parseVerifierKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")!;
    expect(signers(example, [vkey])).toEqual([vkey]);
    expect(signers(example.replace("answer", "Answer"), [vkey])).toBeUndefined();
  });

  it("is signed by the known keys that signed it, each once, whoever else signed", () => {
    expect(signers(note)).toEqual([key]);
    expect(signers(both)).toEqual([key, next]);
    expect(signers(note + others)).toEqual([key]);
    expect(signers(note + note.slice(text.length + 1).repeat(20))).toEqual([key]);
  });

  it("is signed by nobody where only others signed", () => {
    expect(signers(`${text}\n${others}`)).toEqual([]);
    expect(signers(note, [next])).toEqual([]);
    expect(signers(note, [{ name: "kms.example.com/globex", publicKey: first!.publicKey }])).toEqual([]);
  });

  it("does not hold where a known key's signature does not, whatever else does", () => {
    const wrong = signNote("other\n", { name, key: second! }).slice("other\n\n".length);
    expect(signers(note + wrong)).toBeUndefined();
    expect(signers(note.replace("one", "One"))).toBeUndefined();
    expect(signers(note.replace(text, `${text}\n`))).toBeUndefined();
  });

  it.each<[string, string]>([
    ["nothing", ""],
    ["no signature", text],
    ["no signature behind the empty line", `${text}\n`],
    ["no empty line", note.replace("one\n\ntwo\n\n", "one\ntwo\n")],
    ["no line feed at its end", note.slice(0, -1)],
    ["an empty line at its end", `${note}\n`],
    ["CR LF", note.replaceAll("\n", "\r\n")],
    ["a NUL", note.replace("two", "t\0wo")],
    ["a tab", note.replace("two", "t\two")],
    ["half of a surrogate pair", note.replace("two", "t\ud800wo")],
    ["a hyphen for the dash", note.replace("—", "-")],
    ["two spaces", note.replace("— ", "—  ")],
    ["a space behind a signature", note.replace(/\n$/, " \n")],
    ["a name with a space", note.replace(name, "kms example")],
    ["a name with a +", note.replace(name, "kms+example")],
    ["a name with a no-break space", note.replace(name, "kms\u00a0example")],
    ["no name", note.replace(`${name} `, "")],
    ["a signature that is not base64", note.replace(/\S+\n$/, "!!!!\n")],
    ["base64 without its padding", note.replace(/=+\n$/, "\n")],
    ["a signature of no bytes", `${text}\n— ${name} AAAAAA==\n`],
    ["one good signature and one line that is none", `${note}and more\n`],
    ["65 signatures", `${text}\n${note.slice(text.length + 1).repeat(65)}`],
    ["a megabyte", signNote(`${"a".repeat(1_000_000)}\n`, { name, key: first! })],
  ])("is refused with %s", (_, altered) => {
    expect(altered).not.toBe(note);
    expect(parseNote(altered)).toBeUndefined();
  });

  it("may have sixteen of the largest signatures there are", () => {
    const large = `— post.quantum ${Buffer.alloc(4900, 1).toString("base64")}\n`;
    expect(signers(note + large.repeat(15))).toEqual([key]);
  });
});
