/** Cases for `judge`, from a seed: as many as wanted, each a line of JSON with what the service's own code says of it. */
import type { KeySet } from "../../../src/cli/verify/key-set.ts";
import { type Random, randomFrom } from "../../../test/crash/random.ts";
import { mutatedBytes } from "../../../test/fuzz/mutate-bytes.ts";
import { mutatedJson } from "../../../test/fuzz/mutate-json.ts";
import { type Bytes, len, message } from "../../../test/support/otlp-wire.ts";
import { changedAttributes, changedEvidence, changedParts, equalAttributes, equalParts, faultySpan } from "./alter.ts";
import {
  attributeFields,
  attributesOf,
  base64,
  evidenceField,
  exportOf,
  requestOf,
  resourceSpansOf,
  type SignedParts,
} from "./evidence.ts";
import { jsonOf, spelled, written, wrong } from "./json-form.ts";
import { goodKeySet, type KeySetText, randomKeySet, refusedKeySets } from "./key-sets.ts";
import { randomParts, type SpanParts } from "./random-spans.ts";
import { logStory } from "./log-cases.ts";
import { keySetOf, type LogOptions, type Want, wantOfFile, wantOfLog, wantOfRequest } from "./reference.ts";
import { firstDayMs, type TenantKey, type TestTenant, testTenant } from "./test-tenant.ts";

export type Case =
  | { keySet: string; jwks: string; vkeys?: readonly string[] }
  | { jwks: string; vkeys?: readonly string[]; refused: true }
  | { keySet: string; tenant?: string; export: string; want: Want[] | "unreadable" }
  | { keySet: string; tenant?: string; json: string; want: Want[] | "unreadable" }
  | { keySet: string; tenant?: string; export: string; log: LogOptions; want: unknown }
  | { keySet: string; tenant: string; request: string; want: Want };

/** Who signed, and by what it is judged. */
export interface Source {
  /** Name of the key set. */
  name: string;
  tenant: string;
  text: KeySetText;
  keys: KeySet;
  /** Spans and their evidence, as they were signed. */
  signed(r: Random, count: number): SignedParts[];
}

/** `sources` are asked for more than the test's own tenants. */
export function* makeCases(count: number, seed: number, sources: readonly Source[] = []): Generator<Case> {
  const r = randomFrom(seed);
  const [acme, globex] = [filledTenant("acme"), filledTenant("globex")];
  const own = [...sourcesOf(acme, 30, r), ...sourcesOf(globex, 6, r)];
  const all = [...own, ...sources];
  for (const { name, text } of all) yield { keySet: name, ...text };
  let made = all.length;
  for (const { jwks, vkeys, what } of refusedKeySets(acme, globex)) {
    if (keySetOf(jwks, vkeys) !== undefined) throw new Error(`a key set with ${what} is not refused`);
    yield { jwks, ...(vkeys && { vkeys }), refused: true };
    made += 1;
  }
  for (; made < count; made += 1) {
    if (r.chance(0.06)) {
      made += 1;
      yield* logCase(r, `log ${made}`);
      continue;
    }
    if (r.chance(0.03)) {
      yield mutatedKeySet(acme, r, `mutated ${made}`);
      continue;
    }
    const source = sources.length > 0 && r.chance(0.3) ? r.pick(sources)! : r.pick(own)!;
    yield randomCase(source, r);
  }
}

/** A key set with something wrong in it, or not. */
function mutatedKeySet(tenant: TestTenant, r: Random, keySet: string): Case {
  const jwks = mutatedJson(goodKeySet(tenant), r).toString();
  return keySetOf(jwks, undefined) === undefined ? { jwks, refused: true } : { keySet, jwks };
}

/** A log of its own, whose keys come before it. */
function* logCase(r: Random, name: string): Generator<Case> {
  const { keySet, tenant, log, ...story } = logStory(r);
  const keys = keySetOf(keySet.jwks, keySet.vkeys);
  if (keys === undefined) throw new Error("the key set of a log is refused");
  yield { keySet: name, ...keySet };
  const want = wantOfLog(Buffer.from(story.export, "base64"), keys, { tenant, log });
  yield { keySet: name, ...(tenant !== undefined && { tenant }), export: story.export, log, want };
}

/** A tenant whose logs have handovers already, one of them announced and never signed. */
function filledTenant(name: string): TestTenant {
  const tenant = testTenant(name);
  const [first, second] = tenant.logs;
  const [a, b, c, d, e] = tenant.keys as [TenantKey, TenantKey, TenantKey, TenantKey, TenantKey];
  const r = randomFrom(1);
  const fill = (log: typeof first, by: TenantKey) => log.sign([randomParts(r), randomParts(r)], firstDayMs, [by]);
  fill(first, a);
  first.handOver(a, b, [a, b]);
  fill(first, b);
  first.handOver(b, c, [b, c]);
  first.handOver(c, d, []); // came to nothing
  fill(first, c);
  first.handOver(c, e, [c]); // without the new key's signature
  second.handOver(c, d, [c, d]);
  second.handOver(d, e, [d, e], first.origin); // by another log's name
  fill(second, d);
  return tenant;
}

function sourcesOf(tenant: TestTenant, count: number, r: Random): Source[] {
  const good = JSON.stringify(goodKeySet(tenant));
  const first = goodKeySet(tenant).keys[0]!.vkeys as string[];
  const texts: KeySetText[] = [{ jwks: good }, { jwks: good, vkeys: [first[0]!] }];
  while (texts.length < count) texts.push(randomKeySet(tenant, r));
  return texts.map((text, i) => {
    const keys = keySetOf(text.jwks, text.vkeys);
    if (keys === undefined) throw new Error(`key set ${i} of ${tenant.name} is refused`);
    return { name: `${tenant.name} ${i}`, tenant: tenant.name, text, keys, signed: (rr, n) => signedBy(tenant, rr, n) };
  });
}

/** Mostly by a key that is in use, at the borders of its time too. */
function signedBy(tenant: TestTenant, r: Random, count: number): SignedParts[] {
  const key = r.pick(tenant.keys)!;
  const at = timeOf(key, r);
  const batch = Array.from({ length: count }, () => randomParts(r));
  if (r.chance(0.5)) return batch.map((parts) => tenant.signAlone(parts, key, at));
  const log = r.pick(tenant.logs)!;
  const both = r.chance(0.15) ? [key, r.pick(tenant.keys)!] : [key];
  return log.sign(batch, at, both);
}

function timeOf({ validFromMs, validUntilMs }: TenantKey, r: Random): number {
  if (r.chance(0.7)) return validFromMs + r.below(validUntilMs - validFromMs);
  return r.pick([
    ...[validFromMs - 60_000, validFromMs - 60_001, validUntilMs, validUntilMs + 1, validFromMs, 0, 946_684_800_000],
    ...[
      Date.parse("0001-01-01T00:00:00.000Z"),
      Date.parse("9999-12-31T23:59:59.999Z"),
      Date.parse("2024-02-29T00:00:00.000Z"),
    ],
  ])!;
}

function randomCase(source: Source, r: Random): Case {
  const { name: keySet, tenant, keys } = source;
  const kind = r.weighted({ export: 45, request: 35, json: 20 });
  if (kind === "request") {
    const request = randomRequest(source, r);
    return { keySet, tenant: request.tenant, request: base64(request.bytes), want: wantOfRequest(request.bytes, keys) };
  }
  const whose = r.weighted({ none: 30, own: 60, other: 10 });
  const asked = whose === "none" ? undefined : whose === "own" ? tenant : otherTenant(tenant, r);
  const head = { keySet, ...(asked !== undefined && { tenant: asked }) };
  if (kind === "json" && r.chance(0.25)) {
    const bytes = mutatedExportJson(source, r);
    if (bytes !== undefined) return { ...head, export: base64(bytes), want: wantOfFile(bytes, keys, asked) };
  }
  if (kind === "json") {
    const json = randomJson(source, r);
    if (json !== undefined) return { ...head, json, want: wantOfFile(Buffer.from(json), keys, asked) };
  }
  const bytes = randomExport(source, r);
  return { ...head, export: base64(bytes), want: wantOfFile(bytes, keys, asked) };
}

function otherTenant(tenant: string, r: Random): string {
  return r.pick(["other", `${tenant}.`, "globex", "acme"].filter((name) => name !== tenant))!;
}

function randomExport(source: Source, r: Random): Bytes {
  if (r.chance(0.01)) return r.bytes(r.below(30));
  if (r.chance(0.002)) return new Uint8Array();
  const spans = source.signed(r, 1 + r.below(3)).map((signed) => carrying(signed, r, 0.45));
  const whole = exportOf(...(r.chance(0.5) ? spans.map(resourceSpansOf) : [together(spans)]));
  if (r.chance(0.85)) return whole;
  return new Uint8Array(mutatedBytes(whole, r));
}

/** Under one resource and scope, those of the first: the others may have been signed with others. */
function together(spans: readonly SpanParts[]): Bytes {
  const [{ resource, scope }] = spans as [SpanParts];
  const scopeSpans = message(...(scope ? [len(1, scope)] : []), ...spans.map(({ span }) => len(2, span)), len(3, "s"));
  return message(len(2, scopeSpans), ...(resource ? [len(1, resource)] : []));
}

/** A signed span with its attributes, altered with this probability. */
function carrying(signed: SignedParts, r: Random, probability: number): SpanParts {
  let attributes = attributesOf(signed);
  let parts: SpanParts = signed;
  let isFaulty = false;
  if (r.chance(0.3)) attributes = r.pick(equalAttributes)!(attributes, r);
  if (r.chance(0.1)) parts = r.pick(equalParts)!(parts, r);
  if (r.chance(probability)) {
    const what = r.weighted({ attributes: 50, parts: 20, fault: 25, none: 5 });
    if (what === "attributes") attributes = r.pick(changedAttributes)!(attributes, r);
    if (what === "parts") parts = r.pick(changedParts)!(parts, r);
    if (what === "none") attributes = [];
    isFaulty = what === "fault";
  }
  const fields = attributeFields(attributes);
  const span = r.chance(0.8) ? message(parts.span, ...fields) : message(...fields, parts.span);
  return { ...parts, span: isFaulty ? faultySpan(span, r) : span };
}

/** Its frame is well-formed: how programs read that is not what is asked. */
function randomRequest(source: Source, r: Random): { tenant: string; bytes: Bytes } {
  const [signed] = source.signed(r, 1) as [SignedParts];
  const tenant = r.chance(0.93) ? source.tenant : otherTenant(source.tenant, r);
  if (r.chance(0.3)) return { tenant, bytes: requestOf(tenant, damaged(carrying(signed, r, 0.6), r)) };
  const [another] = source.signed(r, 1) as [SignedParts];
  let parts: SpanParts = r.chance(0.1) ? another : signed;
  if (r.chance(0.2)) parts = carrying({ ...signed, ...parts }, r, 0.2);
  if (r.chance(0.2)) parts = r.pick(changedParts)!(parts, r);
  const evidence = r.chance(0.35) ? changedEvidence(signed, r) : signed;
  return { tenant, bytes: requestOf(tenant, r.chance(0.1) ? damaged(parts, r) : parts, evidenceField(evidence)) };
}

function damaged(parts: SpanParts, r: Random): SpanParts {
  if (r.chance(0.7)) return parts;
  const part = r.pick(["span", "resource", "scope"] as const)!;
  const bytes = parts[part];
  return bytes === undefined ? parts : { ...parts, [part]: new Uint8Array(mutatedBytes(bytes, r)) };
}

/** OTLP JSON that is wrong as values or as text, perhaps no UTF-8. */
function mutatedExportJson(source: Source, r: Random): Bytes | undefined {
  const spans = source.signed(r, 1).map((signed) => carrying(signed, r, 0.1));
  const document = jsonOf(exportOf(...spans.map(resourceSpansOf)));
  return document && new Uint8Array(mutatedJson(JSON.parse(written(spelled(document, r))), r));
}

function randomJson(source: Source, r: Random): string | undefined {
  const documents = Array.from({ length: r.chance(0.25) ? 2 : 1 }, () => {
    const spans = source.signed(r, 1 + r.below(2)).map((signed) => carrying(signed, r, 0.1));
    return jsonOf(exportOf(...spans.map(resourceSpansOf)));
  }).filter((each) => each !== undefined);
  if (documents.length === 0) return undefined;
  const [first] = documents as [(typeof documents)[0]];
  if (r.chance(0.35)) return wrong(spelled(first, r), r);
  const lines = documents.map((document) =>
    written(spelled(document, r), documents.length === 1 && r.chance(0.3) ? "  " : ""),
  );
  if (lines.length > 1 && r.chance(0.1)) lines.push(r.pick(["", " ", "x", "{}", lines[0]!.slice(0, -1)])!);
  return lines.join(r.chance(0.8) ? "\n" : "\r\n");
}
