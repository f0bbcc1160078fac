/**
 * What an auditor does without us: rebuilds what was signed from the span and its attributes alone, and checks it with OpenSSL's command
 * line. Nothing of the service's code is used; the canonical form is written here a second time, from its definition.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SignSpanResponse } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { AnyValue, KeyValue, Span, Span_Event, Span_Link } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { type ExportedSpan, exportSpan } from "./exported-span.ts";

const tenantId = "acme";

let service: RunningService;
let exported: ExportedSpan;
let signed: SignSpanResponse;
let directory: string;

beforeAll(async () => {
  [service, exported] = await Promise.all([startService(), exportSpan()]);
  const { span, resource, scope } = exported;
  signed = await service.grpc.signSpan({ tenantId, span, resource, scope });
  // From here on the span is what it is in a trace store: with its signature.
  span.attributes.push(...signed.attributes);
  directory = mkdtempSync(join(tmpdir(), "fluo-kms-"));
});

afterAll(async () => {
  rmSync(directory, { recursive: true });
  await service.stop();
});

/** RFC 8785 for what occurs here: members sorted by UTF-16 code units, numbers and strings as ECMAScript writes them. */
function jcs(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jcs).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${jcs(member)}`).join(",")}}`;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** A field at its default is left out. */
const set = <T>(value: T): T | undefined => (value === "" || value === 0 ? undefined : value);
const id = (bytes: Uint8Array) => (bytes.some((byte) => byte !== 0) ? hex(bytes) : undefined);
const time = (nanos: bigint) => (nanos === 0n ? undefined : String(nanos));
const filled = <T>(list: T[]): T[] | undefined => (list.length > 0 ? list : undefined);

/** A value is never left out, whatever it is. */
function typed(any: AnyValue | undefined): unknown {
  const { case: type, value } = any?.value ?? { case: undefined, value: undefined };
  switch (type) {
    case undefined:
      return null;
    case "intValue":
      return { intValue: String(value) };
    case "doubleValue":
      return { doubleValue: Number.isFinite(value) ? value + 0 : String(value) };
    case "bytesValue":
      return { bytesValue: Buffer.from(value).toString("base64") };
    case "arrayValue":
      return { arrayValue: value.values.map(typed) };
    case "kvlistValue":
      return { kvlistValue: Object.fromEntries(value.values.map((entry) => [entry.key, typed(entry.value)])) };
    default:
      return { [type]: value };
  }
}

function attributes(list: readonly KeyValue[]): object | undefined {
  return list.length === 0 ? undefined : Object.fromEntries(list.map(({ key, value }) => [key, typed(value)]));
}

function event({ timeUnixNano, name, attributes: list, droppedAttributesCount }: Span_Event): object {
  return {
    timeUnixNano: time(timeUnixNano),
    name: set(name),
    attributes: attributes(list),
    droppedAttributesCount: set(droppedAttributesCount),
  };
}

function link({ traceId, spanId, traceState, attributes: list, droppedAttributesCount }: Span_Link): object {
  return {
    traceId: id(traceId),
    spanId: id(spanId),
    traceState: set(traceState),
    attributes: attributes(list),
    droppedAttributesCount: set(droppedAttributesCount),
  };
}

const integrity = /^audit\.integrity\.(algorithm|value|key_id|tenant|signed_at)$/;

function canonical({ span, resource, scope }: ExportedSpan): string {
  const status = span.status && { message: set(span.status.message), code: set(span.status.code) };
  return jcs({
    resource: { attributes: attributes(resource.attributes) },
    scope: { name: set(scope.name), version: set(scope.version), attributes: attributes(scope.attributes) },
    span: {
      traceId: id(span.traceId),
      spanId: id(span.spanId),
      traceState: set(span.traceState),
      parentSpanId: id(span.parentSpanId),
      name: set(span.name),
      kind: set(span.kind),
      startTimeUnixNano: time(span.startTimeUnixNano),
      endTimeUnixNano: time(span.endTimeUnixNano),
      attributes: attributes(span.attributes.filter(({ key }) => !integrity.test(key))),
      droppedAttributesCount: set(span.droppedAttributesCount),
      events: filled(span.events.map(event)),
      droppedEventsCount: set(span.droppedEventsCount),
      links: filled(span.links.map(link)),
      droppedLinksCount: set(span.droppedLinksCount),
      status,
    },
  });
}

/** The statement that the span and its attributes amount to, and the signature over it. */
function evidence(exportedSpan: ExportedSpan): { statement: string; signature: Buffer } {
  const { span } = exportedSpan;
  const text = (name: string) => textAttribute(span, `audit.integrity.${name}`);
  const statement = jcs({
    _type: "https://in-toto.io/Statement/v1",
    subject: [
      {
        name: `${hex(span.traceId)}/${hex(span.spanId)}`,
        digest: { sha256: createHash("sha256").update(canonical(exportedSpan)).digest("hex") },
      },
    ],
    predicateType: "https://fluo.dev/kms/compliance-span/v1",
    predicate: { tenant: text("tenant"), keyId: text("key_id"), signedAt: text("signed_at") },
  });
  return { statement, signature: Buffer.from(text("value"), "base64") };
}

function textAttribute({ attributes: list }: Span, key: string): string {
  const value = list.find((each) => each.key === key)?.value?.value;
  if (value?.case !== "stringValue") throw new Error(`the span has no text in ${key}`);
  return value.value;
}

/** DSSE's pre-authentication encoding. */
function encoded(statement: string): Buffer {
  const type = "application/vnd.in-toto+json";
  return Buffer.from(`DSSEv1 ${type.length} ${type} ${Buffer.byteLength(statement)} ${statement}`);
}

/** A raw Ed25519 key as SubjectPublicKeyInfo (RFC 8410): a head that is always the same, then the key. */
function pem(raw: Uint8Array): string {
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
  return `-----BEGIN PUBLIC KEY-----\n${der.toString("base64")}\n-----END PUBLIC KEY-----\n`;
}

describe("a signed span, by its definition alone", () => {
  it("has the statement that was signed", () => {
    const { statement, signature } = evidence(exported);
    expect(statement).toBe(Buffer.from(signed.statement).toString("utf8"));
    expect(signature).toEqual(Buffer.from(signed.signature));
  });

  it("has no other statement", () => {
    const altered = { ...exported, scope: { ...exported.scope, version: "2.1.1" } };
    expect(evidence(altered).statement).not.toBe(Buffer.from(signed.statement).toString("utf8"));
  });
});

const version = spawnSync("openssl", ["version"], { encoding: "utf8" }).stdout ?? "";
// LibreSSL has the same command and not its -rawin.
const missing = !/^OpenSSL [3-9]/.test(version);
if (missing) console.warn("OpenSSL 3 is not on the PATH: no signature is checked with it");

describe("openssl pkeyutl", () => {
  it.skipIf(missing && !process.env.CI)("is there", () => {
    expect(version).toMatch(/^OpenSSL [3-9]/);
  });

  async function check(message: Uint8Array, signature: Uint8Array): Promise<string> {
    const { keys } = await service.grpc.getPublicKeys({ tenantId });
    const key = keys.find(({ keyId }) => keyId === textAttribute(exported.span, "audit.integrity.key_id"));
    writeFileSync(join(directory, "key.pem"), pem(key!.raw));
    writeFileSync(join(directory, "message"), message);
    writeFileSync(join(directory, "signature"), signature);
    const args = "pkeyutl -verify -rawin -pubin -inkey key.pem -in message -sigfile signature".split(" ");
    return spawnSync("openssl", args, { cwd: directory, encoding: "utf8" }).stdout;
  }

  it.skipIf(missing)("verifies the signature with the published key", async () => {
    const { statement, signature } = evidence(exported);
    expect(await check(encoded(statement), signature)).toMatch(/Verified Successfully/);
  });

  it.skipIf(missing)("reads the published key as Ed25519", async () => {
    const { keys } = await service.grpc.getPublicKeys({ tenantId });
    writeFileSync(join(directory, "key.pem"), pem(keys[0]!.raw));
    const text = execFileSync("openssl", ["pkey", "-pubin", "-in", "key.pem", "-noout", "-text"], {
      cwd: directory,
      encoding: "utf8",
    });
    expect(text).toMatch(/ED25519 Public-Key/i);
  });

  it.skipIf(missing)("refuses it for an altered span, and an altered signature for this one", async () => {
    const { statement, signature } = evidence(exported);
    const altered = evidence({ ...exported, span: { ...exported.span, name: "grant loan" } });
    expect(await check(encoded(altered.statement), signature)).toMatch(/Verification Failure/);
    signature[0]! ^= 1;
    expect(await check(encoded(statement), signature)).toMatch(/Verification Failure/);
  });
});
