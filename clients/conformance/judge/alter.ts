/** What may be wrong, or only spelled otherwise, with signed spans: in their attributes, beside them, and on the wire. */
import { integrityKeys } from "../../../src/otlp/integrity-attributes.ts";
import type { Random } from "../../../test/crash/random.ts";
import {
  type Bytes,
  boolValue,
  bytesValue,
  double,
  fixed32,
  intValue,
  keyValue,
  len,
  message,
  rawVarint,
  stringValue,
  varint,
} from "../../../test/support/otlp-wire.ts";
import { type Attributes, base64, type SignedParts } from "./evidence.ts";
import { countedAttributes, nested, randomText, type SpanParts } from "./random-spans.ts";

const hasName = (name: keyof typeof integrityKeys) => {
  const key = integrityKeys[name];
  return ([each]: Attributes[number]) => each === key;
};

function replaced(attributes: Attributes, name: keyof typeof integrityKeys, change: (value: string) => string) {
  return attributes.map(([key, value]): Attributes[number] =>
    hasName(name)([key, value]) ? [key, change(value)] : [key, value],
  );
}

/** Spellings of one instant: allowed ones, no instants, other offsets, parts of a millisecond. */
export function spelledTimes(signedAt: string): { same: string[]; other: string[] } {
  const fraction = signedAt.slice(20, 23);
  const seconds = signedAt.slice(0, 19);
  const short = fraction.replace(/0+$/, "");
  const shortest = short === "" ? seconds : `${seconds}.${short}`;
  const date = signedAt.slice(0, 10);
  return {
    same: [
      `${shortest}Z`,
      `${shortest}z`,
      `${shortest}+00:00`,
      `${seconds}.${fraction}000Z`,
      `${seconds}.${fraction}000000Z`,
      `${seconds}.${fraction}00000+00:00`,
      `${seconds}.${fraction}0Z`,
    ],
    other: [
      `${seconds}.${fraction}001Z`,
      `${seconds}.${fraction}000001Z`,
      `${seconds}.${fraction}0000000Z`,
      `${seconds}.Z`,
      `${seconds},${fraction}Z`,
      `${seconds}.${fraction}-00:00`,
      `${seconds}.${fraction}+01:00`,
      `${seconds}.${fraction}+0000`,
      `${seconds}.${fraction}+00`,
      `${seconds}.${fraction}`,
      signedAt.replace("T", " "),
      signedAt.replace("T", "t"),
      ` ${signedAt}`,
      `${signedAt}\n`,
      `${date}T24:00:00.000Z`,
      `${date}T23:59:60.000Z`,
      `${date}T12:60:00.000Z`,
      "2026-02-29T00:00:00.000Z",
      "2024-02-30T00:00:00.000Z",
      "2026-13-01T00:00:00.000Z",
      "2026-00-01T00:00:00.000Z",
      "2026-01-00T00:00:00.000Z",
      "1900-02-29T00:00:00.000Z",
      "0000-01-01T00:00:00.000Z",
      "-000001-01-01T00:00:00.000Z",
      "+010000-01-01T00:00:00.000Z",
      signedAt.replace(/\d(?=:)/, "٣"),
      date,
      String(Date.parse(signedAt)),
      "",
    ],
  };
}

/** Texts that lenient decoders read as the same bytes, and some that none does. */
export function otherBase64(text: string): string[] {
  const unpadded = text.replace(/=+$/, "");
  const last = unpadded.at(-1) ?? "A";
  const next = String.fromCharCode(last.charCodeAt(0) + 1);
  return [
    unpadded,
    `${text}=`,
    `${text}\n`,
    ` ${text}`,
    `${text.slice(0, 20)}\r\n${text.slice(20)}`,
    text.replaceAll("+", "-").replaceAll("/", "_"),
    text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""),
    unpadded.slice(0, -1) + next + text.slice(unpadded.length),
    `${text.slice(0, -5)}%${text.slice(-4)}`,
    text.slice(0, -4),
    `${text}AAAA`,
    `${text}====`,
    text.replace(/.$/, "\u0000"),
    "",
  ];
}

type Change<T> = (value: T, r: Random) => T;

/** Evidence that means the same, in another spelling or order. */
export const equalAttributes: readonly Change<Attributes>[] = [
  (attributes) => attributes.toReversed(),
  (attributes, r) => replaced(attributes, "signedAt", (at) => r.pick(spelledTimes(at).same)!),
];

/** Mostly no evidence any more. */
export const changedAttributes: readonly Change<Attributes>[] = [
  (attributes, r) => replaced(attributes, "signedAt", (at) => r.pick(spelledTimes(at).other)!),
  (attributes, r) =>
    replaced(attributes, "signedAt", (at) => new Date(Date.parse(at) + r.pick([1, -1, 1000])!).toISOString()),
  (attributes, r) => replaced(attributes, "value", (value) => r.pick(otherBase64(value))!),
  (attributes, r) => replaced(attributes, "value", (value) => flippedBase64(value, r)),
  (attributes, r) =>
    replaced(attributes, "value", (value) => base64(changedProof(Buffer.from(value, "base64").toString(), r))),
  (attributes, r) => replaced(attributes, "value", (value) => base64(notUtf8(Buffer.from(value, "base64"), r))),
  (attributes, r) =>
    replaced(
      attributes,
      "algorithm",
      () =>
        r.pick([
          "eddsa",
          "Ed25519",
          "EdDSA ",
          "",
          "c2sp.org/tlog-proof@v2",
          "EdDSA",
          "c2sp.org/tlog-proof@v1",
          "none",
        ])!,
    ),
  (attributes, r) =>
    replaced(
      attributes,
      "keyId",
      (keyId) =>
        r.pick([
          keyId.toUpperCase(),
          keyId.slice(1),
          `${keyId}0`,
          "",
          "0".repeat(32),
          `${keyId}\n`,
          keyId.replace(/.$/, "g"),
        ])!,
    ),
  (attributes, r) =>
    replaced(attributes, "tenant", (tenant) => r.pick(["", "other", tenant.toUpperCase(), `${tenant} `])!),
  (attributes, r) => attributes.filter((_, i, { length }) => i !== r.below(length)),
  (attributes, r) => attributes.filter(() => r.chance(0.5)),
  (attributes, r) => [...attributes, r.pick(attributes)!],
  (attributes, r) => [...attributes, [r.pick(Object.values(integrityKeys))!, "x"]],
  (attributes, r) => [
    ...attributes,
    [
      `audit.integrity.${r.pick(["", "x", "Value", "value ", "key-id", "keyId", "fluo", "fluo.", "fluo.x", "fluo.value"])}`,
      "x",
    ],
  ],
];

function flippedBase64(text: string, r: Random): string {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length > 0) bytes[r.below(bytes.length)]! ^= 1 << r.below(8);
  return bytes.toString("base64");
}

function notUtf8(bytes: Buffer, r: Random): Buffer {
  const at = r.below(bytes.length + 1);
  const wrong = Buffer.from(r.pick(["ff", "c080", "eda080", "f4908080", "efbbbf"])!, "hex");
  return Buffer.concat([bytes.subarray(0, at), wrong, bytes.subarray(at)]);
}

/** Changes the text of a tlog-proof, in its lines and in those of its checkpoint. */
export function changedProof(proof: string, r: Random): string {
  const lines = proof.split("\n");
  const at = r.below(lines.length);
  const index = Number(/^index (\d+)$/m.exec(proof)?.[1] ?? 0);
  const changes: (() => string)[] = [
    () => proof.replace(/^index .*$/m, `index ${index + r.pick([1, -1, 2, 2 ** 32, 2 ** 53])!}`),
    () =>
      proof.replace(
        /^index .*$/m,
        `index ${r.pick(["", "x", "01", "+1", "1e3", "0x1", "-1", "1.0", " 1", "１", "9007199254740991"])}`,
      ),
    () => proof.replace(/\nindex /, `\nextra ${r.pick(["", "AAAA", "A", "QUE=", "QQ=", "QR==", "*"])}\nindex `),
    () => proof.replace(/\nindex /, "\nextra AAAA\nextra AAAA\nindex "),
    () => proof.replaceAll("\n", "\r\n"),
    () => proof.replace(/@v1/, "@v2"),
    () => lines.filter((_, i) => i !== at).join("\n"),
    () => lines.flatMap((line, i) => (i === at ? [line, line] : [line])).join("\n"),
    () => lines.map((line, i) => (i === at ? `${line} ` : line)).join("\n"),
    () => lines.map((line, i) => (i === at ? r.pick(otherBase64(line))! : line)).join("\n"),
    () => `${proof}\n`,
    () => `\n${proof}`,
    () => proof.slice(0, -1),
    () => proof.slice(0, r.below(proof.length)),
    () => proof.replace(/\n\n/, `\n${base64(r.bytes(32))}\n\n`),
    () => proof.replace(/\n— (\S+) /, "\n— $1  "),
    () => proof.replace(/\n— /, "\n- "),
    () => proof.replace(/\n— (\S+) /, "\n— other "),
    () => proof.replace(/\n— (\S+) /, "\n— a+b "),
    () => proof.replace(/(\n— \S+ )\S+$/m, "$1AAAAAA=="),
    () => proof.replace(/(\n— \S+ )\S+$/m, "$1AAAA"),
    () => `${proof}${signatureLine(proof)}`,
    () => `${proof}— other ${base64(r.bytes(68))}\n`,
    () => `${proof}— ${proof.split("\n\n")[1]?.split("\n")[0] ?? "x"} ${base64(r.bytes(68))}\n`,
    () => `${proof}${"— other AAAAAAAA\n".repeat(r.pick([62, 63, 64])!)}`,
    () => `${proof}— other ${"A".repeat(r.pick([1000, 130_000, 132_000])!)}\n`,
    () => proof.replace(/\n\n([^\n]*)\n/, `\n\n${r.pick(["", "x", "kms.example.com/acme", "\u0001"])}\n`),
    () => proof.replace(/\n\n([^\n]*\n)\d+/, `\n\n$1${r.pick(["0", "01", "1", "9007199254740992", "x"])}`),
    () => proof.replace(/\n\n— /, "\nmore\n\n— "),
    () => proof.replace(/\n\n— /, "\n\n\n— "),
  ];
  return r.pick(changes)!();
}

function signatureLine(proof: string): string {
  return `${proof.split("\n").at(-2)}\n`;
}

/** Changes the statement that is given beside a span, and its signature or proof. */
export function changedEvidence(
  signed: Pick<SignedParts, "statement" | "evidence">,
  r: Random,
): Pick<SignedParts, "statement" | "evidence"> {
  const { evidence } = signed;
  if (r.chance(0.5))
    return { statement: Buffer.from(changedStatement(Buffer.from(signed.statement).toString(), r)), evidence };
  if (evidence.kind === "log") return { ...signed, evidence: { kind: "log", proof: changedProof(evidence.proof, r) } };
  const { signature } = evidence;
  const changed = r.pick([
    Buffer.from(flippedBase64(base64(signature), r), "base64"),
    signature.subarray(1),
    Buffer.concat([signature, Buffer.of(0)]),
    new Uint8Array(64),
    new Uint8Array(),
  ])!;
  return { ...signed, evidence: { ...evidence, signature: changed } };
}

function changedStatement(text: string, r: Random): string {
  return r.pick([
    () => `${text} `,
    () => `${text}\n`,
    () => text.replace(/,/, ", "),
    () => text.replace(/"signedAt":"(.*?)Z"/, '"signedAt":"$1000Z"'),
    () => text.replace(/"signedAt":".{10}/, '"signedAt":"2026-02-30'),
    () => text.replace(/"sha256":"./, '"sha256":"0'),
    () => text.replace(/"sha256":"[^"]*/, (all) => all.toUpperCase().replace("SHA", "sha")),
    () => text.replace(/"name":"./, '"name":"0'),
    () => text.replace(/"tenant":"([^"]*)"/, '"tenant":"other"'),
    () => text.replace(/"tenant":"([^"]*)"/, '"tenant":"$1\\u0061"'),
    () => text.replace(/"tenant":"([^"]*)"/, `"tenant":"${"a".repeat(64)}"`),
    () => text.replace(/"keyId":"[^"]*",/, ""),
    () => text.replace(/"keyId":"./, '"keyId":"0'),
    () => text.replace(/\}$/, ',"more":1}'),
    () => text.replace("compliance-span/v1", "compliance-span/v2"),
    () => text.slice(0, r.below(text.length)),
    () => text.replace(/^\{/, '{"_type":"https://in-toto.io/Statement/v1",'),
    () => `${text}${" ".repeat(4000)}`,
    () => "",
  ])!();
}

/** A change of what was signed, which reads well. */
export const changedParts: readonly Change<SpanParts>[] = [
  (parts, r) => ({ ...parts, span: message(parts.span, len(9, keyValue(`more ${r.below(9)}`, intValue(r.below(9))))) }),
  (parts, r) => ({ ...parts, span: message(parts.span, len(11, len(2, randomText(r)))) }),
  (parts) => ({ ...parts, span: message(parts.span, len(13, len(3, "x"))) }),
  (parts) => ({ ...parts, resource: undefined }),
  (parts) => ({ ...parts, scope: undefined }),
  (parts, r) => ({ ...parts, resource: len(1, keyValue("other", stringValue(randomText(r)))) }),
  (parts) => ({ ...parts, scope: len(1, "another") }),
];

/** What is not covered, or reads as the same. */
export const equalParts: readonly Change<SpanParts>[] = [
  (parts) => ({ ...parts, resource: message(parts.resource ?? message(), len(3, len(2, "host"))) }),
  (parts) => ({ ...parts, resource: parts.resource ?? message() }),
  (parts) => ({ ...parts, scope: parts.scope ?? message() }),
];

const tooDeep = (r: Random, levels: number) => keyValue("deep", nested(r, levels - 1));

/** What no reader may read, or not all do: by one field more at the end of a span. */
const faults: readonly ((r: Random) => Bytes)[] = [
  (r) => len(9, keyValue("x", r.pick([message(intValue(1), stringValue("a")), message(intValue(1), intValue(1))])!)),
  () => len(9, message(len(1, "x"), len(1, "x"), len(2, intValue(1)))),
  () => len(9, message(len(1, "x"), len(2, intValue(1)), len(2, intValue(2)))),
  (r) =>
    message(
      len(9, keyValue("twin", intValue(1))),
      len(9, keyValue("twin", r.chance(0.5) ? intValue(1) : stringValue("b"))),
    ),
  () =>
    len(9, keyValue("map", len(6, message(len(1, keyValue("a", intValue(1))), len(1, keyValue("a", intValue(1))))))),
  () => len(11, message(len(3, keyValue("a", intValue(1))), len(3, keyValue("a", intValue(1))))),
  (r) => len(9, keyValue("bool", varint(2, r.pick([2, 255, 2 ** 32])!))),
  (r) => len(r.pick([17, 18, 100, 1000, 2 ** 29 - 1])!, "x"),
  (r) => varint(r.pick([17, 1000])!, 1),
  () => len(9, message(len(1, "x"), len(2, intValue(1)), varint(3, 1))),
  () => len(9, keyValue("x", varint(8, 1))),
  () => len(15, message(varint(1, 0))),
  (r) => varint(6, r.pick([6, 7, -1, 2 ** 32, 2n ** 63n])!),
  (r) => len(15, varint(3, r.pick([3, -1, 2 ** 31])!)),
  (r) => varint(10, r.pick([2 ** 32, -1, 2n ** 64n - 1n])!),
  () => varint(9, 1),
  () => len(7, "12345678"),
  () => fixed32(10, 1),
  () => double(6, 1),
  (r) => len(r.pick([1, 2, 4])!, r.bytes(r.pick([0, 7, 8, 15, 16, 17])!)),
  (r) =>
    len(
      5,
      message(
        Buffer.from(r.pick(["ff", "c080", "eda080", "edbfbf", "f4908080", "f8888080", "e28280e2", "80"])!, "hex"),
      ),
    ),
  () => len(9, message(len(1, Buffer.from("ff", "hex")), len(2, intValue(1)))),
  (r) =>
    Buffer.from(
      r.pick(["0f", "0000", "08ffffffffffffffffffff01", "0affffffff0f", "0a05", "0c", "0b", "f8ffffff0f01", "9a0600"])!,
      "hex",
    ),
  (r) =>
    message(
      Uint8Array.of(0x50),
      rawVarint(1).map((byte) => byte | 0x80),
      new Uint8Array(r.pick([0, 3, 7, 8, 9])!).fill(0x80),
      Uint8Array.of(r.pick([0, 1, 2])!),
    ),
  () => message(Uint8Array.of(0xca, 0x80, 0x80, 0x80, 0x00), rawVarint(4), keyValue("", message()), message()),
  (r) => len(9, tooDeep(r, 31 + r.below(3))),
  (r) => message(...countedAttributes(9, r.pick([100, 120, 127, 128, 129])!)),
  (r) =>
    len(
      9,
      keyValue(
        "audit.integrity.value",
        r.pick([intValue(1), boolValue(true), bytesValue(Uint8Array.of(1)), message()])!,
      ),
    ),
  () => len(9, message(len(2, intValue(1)))),
  () => len(9, message()),
  (r) => len(13, len(1, r.bytes(r.pick([0, 1, 15, 16, 17])!))),
  (r) => len(13, len(2, r.bytes(r.pick([0, 7, 8, 9])!))),
  () => len(13, varint(6, 1)),
  () => len(11, len(5, "x")),
];

export function faultySpan(span: Bytes, r: Random): Bytes {
  const fault = r.pick(faults)!(r);
  return r.chance(0.7) ? message(span, fault) : message(fault, span);
}
