/** Cases with names that would do harm to a careless page, or to a careless verifier: everywhere somebody else chooses a name. */
import { exportOf, type SignedParts } from "../../../clients/conformance/judge/evidence.ts";
import { jsonOf, written } from "../../../clients/conformance/judge/json-form.ts";
import { goodKeySet } from "../../../clients/conformance/judge/key-sets.ts";
import { countedAttributes, nested } from "../../../clients/conformance/judge/random-spans.ts";
import { firstDayMs, testTenant } from "../../../clients/conformance/judge/test-tenant.ts";
import type { Asked } from "../../../src/verification-report/facts.ts";
import { checkpointText } from "../../../src/tlog/checkpoint.ts";
import { signNote } from "../../../src/tlog/signed-note.ts";
import { integrityKeys } from "../../../src/otlp/integrity-attributes.ts";
import { randomFrom } from "../../crash/random.ts";
import { type Bytes, keyValue, len, message, span, stringValue } from "../../support/otlp-wire.ts";
import type { Case, CaseFile } from "./cases.ts";
import { pieceOf, wireOf } from "./draft.ts";

export const hostileNames: Readonly<Record<string, string>> = {
  markup: `</td><script>alert(1)</script><img src=x onerror="alert(1)"><b id=trouble>`,
  "a prototype": "__proto__",
  "a constructor": "constructor",
  "text that turns": "\u202eevil\u2066\u200f\u2028\u061c",
  "text that is long": "é".repeat(2 * 1024 * 1024),
  controls: "\u0000\u0007\u001b[31m\r\n\tx\u0085",
  "a template": "{{7*7}}<%= 1 %>%s$&$'",
};

const none: Asked = {
  log: false,
  tenant: undefined,
  vkeys: [],
  from: undefined,
  to: undefined,
  anyOrder: false,
  keptBy: undefined,
};

/** The name in each place where it can be. */
export function hostileCases(what: string): Case[] {
  const name = hostileNames[what]!;
  return [
    verified(`${what} as a span's name`, [len(5, name)]),
    verified(`${what} as an attribute`, [len(9, keyValue(name, stringValue(name)))]),
    verified(`${what} as a status, an event, a link`, [
      len(11, len(2, name)),
      len(13, len(3, name)),
      len(15, len(2, name)),
    ]),
    evidenceNamed(`${what} as the tenant of evidence`, integrityKeys.tenant, name),
    evidenceNamed(`${what} as the key of evidence`, integrityKeys.keyId, name),
    evidenceNamed(`${what} as the algorithm of evidence`, integrityKeys.algorithm, name),
    keyNamed(what, name),
    logNamed(what, name.replace(/[\p{White_Space}\p{Cc}+]/gu, "").slice(0, 200)),
    { ...verified(`${what} as the tenant who is asked for`, []), asked: { ...none, tenant: oneLine(name) } },
    { ...verified(`${what} as a verifier key`, []), asked: { ...none, vkeys: [oneLine(name)] } },
    filesNamed(what, name.slice(0, 100)),
  ];
}

/** As it comes out of a field of a form. */
function oneLine(name: string): string {
  return name
    .replace(/[\r\n]/g, "")
    .trim()
    .slice(0, 10_000);
}

/** Sizes that the verifier takes, and those past them. */
export function sizedCases(): Case[] {
  const r = randomFrom(1);
  const deep = (levels: number) => [len(9, keyValue("deep", nested(r, levels)))];
  return [
    ...[30, 31, 32, 33].map((levels) => verified(`lists within ${levels} others`, deep(levels))),
    ...[120, 123, 128, 129, 10_000].map((count) => verified(`${count} attributes`, countedAttributes(9, count))),
    ...[...[97, 98, 99, 100], ...[101, 510, 511, 512, 513, 100_000]].flatMap((levels) => [
      spansText(`JSON within ${levels} lists`, `{"resourceSpans":${"[".repeat(levels)}${"]".repeat(levels)}}`),
      spansText(`a value within ${levels} others in JSON`, deepJson(levels)),
      keysText(
        `keys within ${levels} lists`,
        (keys) => `{"x":${"[".repeat(levels)}${"]".repeat(levels)},${keys.slice(1)}`,
      ),
    ]),
    keysText("keys with a prototype", (keys) => `{"__proto__":{"keys":[]},${keys.slice(1)}`),
    keysText("a key with a prototype", (keys) => keys.replace('"kty"', '"__proto__":{"d":"x"},"kty"')),
    spansText("an export of a prototype", '{"__proto__":{"resourceSpans":[]}}'),
  ];
}

function deepJson(levels: number): string {
  const value = `${'{"arrayValue":{"values":['.repeat(levels)}${"]}}".repeat(levels)}`;
  const attributes = `"attributes":[{"key":"deep","value":${value}}]`;
  const deepSpan = `{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",${attributes}}`;
  return `{"resourceSpans":[{"scopeSpans":[{"spans":[${deepSpan}]}]}]}`;
}

const tenant = testTenant("acme");

function signed(fields: readonly Bytes[]): SignedParts[] {
  const key = tenant.keys[0]!;
  const parts = { resource: undefined, scope: undefined, span: span(...fields) };
  try {
    return [tenant.signAlone(parts, key, firstDayMs)];
  } catch {
    // Nobody signs what cannot be read: evidence of another span is there in its place.
    return [{ ...tenant.signAlone({ ...parts, span: span() }, key, firstDayMs), ...parts }];
  }
}

function caseOf(what: string, spans: Uint8Array, keys: string, asked: Partial<Asked> = {}): Case {
  return {
    name: what,
    what: [what],
    spans: file("spans", spans),
    keys: file("keys.json", Buffer.from(keys)),
    checkpoints: [],
    asked: { ...none, ...asked },
  };
}

function file(name: string, bytes: Uint8Array): CaseFile {
  return { name, bytes: Uint8Array.from(bytes) };
}

const goodKeys = () => JSON.stringify(goodKeySet(tenant));

function verified(what: string, fields: readonly Bytes[]): Case {
  const whole = exportOf(...signed(fields).map((each) => wireOf(pieceOf(each))));
  return caseOf(what, whole, goodKeys());
}

function evidenceNamed(what: string, attribute: string, name: string): Case {
  const pieces = signed([]).map(pieceOf);
  const whole = pieces.map((piece) =>
    wireOf({
      ...piece,
      attributes: piece.attributes.map(([key, value]) => [key, key === attribute ? name : value]),
    }),
  );
  return caseOf(what, exportOf(...whole), goodKeys());
}

/** In the key set and in the evidence alike. */
function keyNamed(what: string, name: string): Case {
  const each = {
    ...signed([])[0]!,
    evidence: { kind: "individual" as const, keyId: name, signature: new Uint8Array(64) },
  };
  const [first, ...rest] = goodKeySet(tenant).keys;
  const keys = JSON.stringify({ keys: [{ ...first, kid: name }, ...rest], more: { [name]: name } });
  return caseOf(`${what} as the id of a key`, exportOf(wireOf(pieceOf(each))), keys);
}

/** The origin of a log that is whole. */
function logNamed(what: string, name: string): Case {
  const named = testTenant("acme", name);
  const [log] = named.logs;
  const [first, second] = named.keys as [(typeof named.keys)[0], (typeof named.keys)[0]];
  const parts = (turn: number) => ({ resource: undefined, scope: undefined, span: numbered(turn) });
  const spans = log.sign([parts(1), parts(2)], firstDayMs, [first]);
  log.handOver(first, second, [first, second]);
  spans.push(...log.sign([parts(3)], second.validFromMs, [second]));
  const note = signNote(checkpointText(log.head()), { name, key: second.key });
  const keys = goodKeySet(named);
  const [vkey] = keys.keys[0]!.vkeys as string[];
  return {
    ...caseOf(
      `${what} as the origin of a log`,
      exportOf(...spans.map((each) => wireOf(pieceOf(each)))),
      JSON.stringify(keys),
    ),
    checkpoints: [file("checkpoint", Buffer.from(note))],
    asked: { ...none, log: true, vkeys: [vkey!], keptBy: "the auditor" },
  };
}

function numbered(turn: number): Bytes {
  return message(len(1, new Uint8Array(16).fill(7)), len(2, new Uint8Array(8).fill(turn)));
}

function filesNamed(what: string, name: string): Case {
  const log = logNamed(what, "kms.example.com/acme");
  const renamed = (each: CaseFile) => ({ ...each, name });
  return {
    ...log,
    name: `${what} as the name of files`,
    what: [what],
    spans: renamed(log.spans),
    keys: renamed(log.keys),
    checkpoints: log.checkpoints.map(renamed),
  };
}

function spansText(what: string, text: string): Case {
  return caseOf(what, Buffer.from(text), goodKeys());
}

function keysText(what: string, change: (keys: string) => string): Case {
  return { ...verified(what, []), keys: file("keys.json", Buffer.from(change(goodKeys()))) };
}

/** As JSON lines: a line for each, and the file's names in it. */
export function inJson(each: Case): Case | undefined {
  const document = jsonOf(each.spans.bytes);
  if (document === undefined) return undefined;
  return { ...each, name: `${each.name}, in JSON`, spans: file("spans.json", Buffer.from(written(document))) };
}
