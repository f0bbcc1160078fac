/** Spans as the OpenTelemetry SDK makes and exports them, signed and verified over gRPC, and altered in every way there is. */
import { clone, create, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { status } from "@grpc/grpc-js";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type SignSpanResponse,
  SignSpansRequestSchema,
  type VerifySpanRequest,
  VerifySpanRequestSchema,
  VerifyReason,
} from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import {
  InstrumentationScopeSchema,
  type KeyValue,
  KeyValueSchema,
  ResourceSchema,
  SpanSchema,
} from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { run } from "../support/cli-fixture.ts";
import { failureOf, type RunningService, startService } from "../support/running-service.ts";
import { type Alteration, alterations } from "./alterations.ts";
import { type ExportedSpan, exportSpan } from "./exported-span.ts";

const tenantId = "acme";

let service: RunningService;
let exported: ExportedSpan;
let signed: SignSpanResponse;

beforeAll(async () => {
  [service, exported] = await Promise.all([startService(), exportSpan()]);
  const { span, resource, scope } = exported;
  signed = await service.grpc.signSpan({ tenantId, span, resource, scope });
});

afterAll(() => service.stop());

/** The request that verifies: the span with its signature's attributes. */
function signedRequest(): VerifySpanRequest {
  const { span, resource, scope } = exported;
  const request = create(VerifySpanRequestSchema, { tenantId, span, resource, scope });
  request.span = clone(SpanSchema, span);
  request.span.attributes.push(...signed.attributes);
  return clone(VerifySpanRequestSchema, request);
}

/** The request that verifies: the span as it was, and the statement beside it. */
function detachedRequest(): VerifySpanRequest {
  const { span, resource, scope } = exported;
  const { statement, signature } = signed;
  const evidence = { case: "signedStatement", value: { statement, signature } } as const;
  return create(VerifySpanRequestSchema, { tenantId, span, resource, scope, evidence: evidence as never });
}

function attribute(key: string, stringValue: string): KeyValue {
  return create(KeyValueSchema, { key, value: { value: { case: "stringValue", value: stringValue } } });
}

const verified = expect.objectContaining({ verified: true, reason: VerifyReason.OK });

describe("a span of the OpenTelemetry SDK", () => {
  it("has everything that this test is about", () => {
    const { span, resource, scope, request } = exported;
    expect(span.attributes.map(({ value }) => value?.value.case)).toEqual(
      expect.arrayContaining([
        "stringValue",
        "boolValue",
        "intValue",
        "doubleValue",
        "arrayValue",
        "bytesValue",
        "kvlistValue",
        undefined,
      ]),
    );
    expect(span).toMatchObject({ traceState: "fluo=1,other=2", name: "decide loan", kind: 2, status: { code: 2 } });
    expect([span.events.length, span.links.length, span.parentSpanId.length]).toEqual([3, 2, 8]);
    expect(span.flags).not.toBe(0);
    expect(resource.attributes.length * scope.attributes.length * span.links[0]!.attributes.length).toBeGreaterThan(0);
    expect(scope).toMatchObject({ name: "loans.decisions", version: "2.1.0" });
    expect(request.resourceSpans[0]!.scopeSpans[0]!.schemaUrl).not.toBe("");
  });

  it("verifies with the attributes that SignSpan gives", async () => {
    expect(signed.attributes.map(({ key }) => key).toSorted()).toEqual([
      "audit.integrity.algorithm",
      "audit.integrity.key_id",
      "audit.integrity.signed_at",
      "audit.integrity.tenant",
      "audit.integrity.value",
    ]);
    const answer = await service.grpc.verifySpan(signedRequest());
    expect(answer).toEqual(verified);
    expect(answer).toMatchObject({ keyId: signed.keyId, signedAt: signed.signedAt });
  });

  it("verifies with the statement beside it, with and without its attributes", async () => {
    const detached = detachedRequest();
    expect(await service.grpc.verifySpan(detached)).toEqual(verified);
    const both = { ...detached, span: signedRequest().span! };
    expect(await service.grpc.verifySpan(both)).toEqual(verified);
  });

  it("verifies over Connect", async () => {
    expect(await service.connect.verifySpan(signedRequest())).toEqual(verified);
  });

  it("verifies offline as the SDK's own export, whatever the schema URLs say", async () => {
    const directory = mkdtempSync(join(tmpdir(), "fluo-kms-"));
    try {
      const jwks = await (await fetch(`${service.url}/api/kms/tenants/${tenantId}/jwks.json`)).text();
      const request = clone(SignSpansRequestSchema, exported.request);
      const [resourceSpans] = request.resourceSpans;
      resourceSpans!.schemaUrl = "https://example.com/other";
      resourceSpans!.scopeSpans[0]!.schemaUrl = "";
      resourceSpans!.scopeSpans[0]!.spans[0]!.attributes.push(...signed.attributes);
      writeFileSync(join(directory, "jwks.json"), jwks);
      writeFileSync(join(directory, "spans.bin"), toBinary(SignSpansRequestSchema, request));
      const { code, out } = await run(["verify", "--keys", "jwks.json", "spans.bin"], { cwd: directory });
      expect(out).toContain("1 of 1 verified");
      expect(code).toBe(0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe("altering a signed span", () => {
  type Part = "span" | "resource" | "scope";
  const descs: Record<Part, DescMessage> = {
    span: SpanSchema,
    resource: ResourceSchema,
    scope: InstrumentationScopeSchema,
  };

  /** What verifies, with the part altered. The signature's own attributes stay on the span. */
  function withPart(request: VerifySpanRequest, part: Part, altered: Message): VerifySpanRequest {
    const message = clone(descs[part], altered);
    if (part === "span" && request.evidence.case === undefined)
      (message as typeof exported.span).attributes.push(...signed.attributes);
    return { ...request, [part]: message };
  }

  /** The alterations that do not get the reason they must get. */
  async function escaping(part: Part, original: () => VerifySpanRequest, reason: VerifyReason): Promise<string[]> {
    const all: Alteration[] = [...alterations(descs[part], exported[part])];
    // Each has a name of its own, so that a failure says which it is; and a part has hundreds.
    expect(new Set(all.map(({ what }) => what)).size).toBe(all.length);
    expect(all.length).toBeGreaterThan(300);
    const base = original();
    const answers = await Promise.all(
      all.map(({ message }) =>
        service.grpc.verifySpan(withPart(base, part, message)).then(
          (answer) => `verified ${answer.verified}, reason ${answer.reason}`,
          (error: Error) => error.message,
        ),
      ),
    );
    return all.flatMap(({ what }, i) =>
      answers[i] === `verified false, reason ${reason}` ? [] : [`${what}: ${answers[i]}`],
    );
  }

  it.each(["span", "resource", "scope"] as const)("in any one place of the %s breaks its signature", async (part) => {
    expect(await escaping(part, signedRequest, VerifyReason.SIGNATURE_MISMATCH)).toEqual([]);
  });

  it.each(["span", "resource", "scope"] as const)(
    "in any one place of the %s is not what the statement says",
    async (part) => {
      expect(await escaping(part, detachedRequest, VerifyReason.SPAN_MISMATCH)).toEqual([]);
    },
  );

  it.each(["resource", "scope"] as const)("by leaving out the %s breaks its signature", async (part) => {
    const { [part]: _, ...rest } = signedRequest();
    expect(await service.grpc.verifySpan(rest)).toMatchObject({
      verified: false,
      reason: VerifyReason.SIGNATURE_MISMATCH,
    });
  });

  it("by swapping two events breaks its signature", async () => {
    const request = signedRequest();
    request.span!.events.reverse();
    expect(await service.grpc.verifySpan(request)).toMatchObject({
      verified: false,
      reason: VerifyReason.SIGNATURE_MISMATCH,
    });
  });

  it.each([
    ["value", /^./, VerifyReason.SIGNATURE_MISMATCH],
    ["key_id", /.$/, VerifyReason.UNKNOWN_KEY],
    ["signed_at", /\d(?=Z)/, VerifyReason.SIGNATURE_MISMATCH],
    ["tenant", /$/, VerifyReason.UNKNOWN_KEY],
    ["algorithm", /$/, VerifyReason.MALFORMED],
  ])("by another audit.integrity.%s does not verify", async (name, place, reason) => {
    const request = signedRequest();
    const { value } = request.span!.attributes.find(({ key }) => key === `audit.integrity.${name}`)!;
    const text = value!.value.value as string;
    value!.value.value = text.replace(place, (at) => (at === "1" ? "2" : "1"));
    expect(await service.grpc.verifySpan(request)).toMatchObject({ verified: false, reason });
  });
});

describe("what is not covered", () => {
  const accepted: Record<string, (request: VerifySpanRequest) => void> = {
    "the order of the span's attributes": ({ span }) => span!.attributes.reverse(),
    "the order of the resource's attributes": ({ resource }) => resource!.attributes.reverse(),
    "the order of the scope's attributes": ({ scope }) => scope!.attributes.reverse(),
    "the order of an event's attributes": ({ span }) => span!.events[0]!.attributes.reverse(),
    "the order of a link's attributes": ({ span }) => span!.links[0]!.attributes.reverse(),
    "the order of a map's entries": ({ span }) => {
      const map = span!.attributes.find(({ key }) => key === "map")!.value!.value;
      if (map.case !== "kvlistValue") throw new Error("the span has no map");
      map.value.values.reverse();
    },
    "the span's flags": ({ span }) => {
      span!.flags ^= 0x201;
    },
    "a link's flags": ({ span }) => {
      span!.links[0]!.flags = 0;
    },
    "dropped counts of resource and scope": ({ resource, scope }) => {
      resource!.droppedAttributesCount = 1;
      scope!.droppedAttributesCount = 2;
    },
    "an entity's schema_url": ({ resource }) => {
      const [ref] = create(ResourceSchema, {
        entityRefs: [{ type: "host", schemaUrl: "https://example.com/1" }],
      }).entityRefs;
      resource!.entityRefs.push(ref!);
    },
  };

  it.each(Object.entries(accepted))("%s may change", async (_what, change) => {
    const request = signedRequest();
    change(request);
    expect(await service.grpc.verifySpan(request)).toEqual(verified);
  });

  it("a value without a member may be no value at all: both are null", async () => {
    const request = signedRequest();
    const missing = request.span!.attributes.find(({ key }) => key === "missing")!;
    expect(missing.value).toMatchObject({ value: { case: undefined } });
    delete missing.value;
    expect(await service.grpc.verifySpan(request)).toEqual(verified);
  });

  it("the order of fields on the wire may change", async () => {
    const bytes = toBinary(VerifySpanRequestSchema, signedRequest());
    const reordered = rewritten(VerifySpanRequestSchema, bytes);
    expect(reordered).not.toEqual(bytes);
    expect(reordered.length).toBe(bytes.length);
    // verified is field 1, reason field 2.
    const answer = await service.grpc.raw("verifySpan", reordered);
    expect(Buffer.from(answer.subarray(0, 4)).toString("hex")).toBe("08011001");
  });

  it("the signature's attributes may be there when the span is signed", async () => {
    const { span, resource, scope } = signedRequest();
    const again = await service.grpc.signSpan({ tenantId, span: span!, resource: resource!, scope: scope! });
    const subject = ({ statement }: SignSpanResponse) => JSON.parse(Buffer.from(statement).toString()).subject;
    expect(subject(again)).toEqual(subject(signed));
  });
});

describe("an attribute under audit.integrity that is not the service's", () => {
  it.each(["audit.integrity.x", "audit.integrity.", "audit.integrity.Value"])(
    "%s is signed as any other",
    async (key) => {
      const { span, resource, scope } = signedRequest();
      span!.attributes.push(attribute(key, "1"));
      const request = { tenantId, span: span!, resource: resource!, scope: scope! };
      const { attributes } = await service.grpc.signSpan(request);
      span!.attributes = [...withoutEvidence(span!.attributes), ...attributes];
      expect(await service.grpc.verifySpan(request)).toMatchObject({ reason: VerifyReason.OK });
      span!.attributes = span!.attributes.filter((each) => each.key !== key);
      expect(await service.grpc.verifySpan(request)).toMatchObject({ reason: VerifyReason.SIGNATURE_MISMATCH });
    },
  );

  it("is refused by name if it is reserved", async () => {
    const key = "audit.integrity.fluo.x";
    const request = signedRequest();
    const at = request.span!.attributes.push(attribute(key, "")) - 1;
    const calls = [service.grpc.verifySpan(request), service.grpc.signSpan({ tenantId, span: request.span! })];
    for (const failure of await Promise.all(calls.map(failureOf))) {
      expect(failure).toMatchObject({
        code: status.INVALID_ARGUMENT,
        fields: [`span.attributes[${at}].key`],
      });
    }
  });

  it("is an ordinary one anywhere but on the span", async () => {
    const request = signedRequest();
    request.resource!.attributes.push(attribute("audit.integrity.x", ""));
    expect(await service.grpc.verifySpan(request)).toMatchObject({ reason: VerifyReason.SIGNATURE_MISMATCH });
  });
});

function withoutEvidence(attributes: readonly KeyValue[]): KeyValue[] {
  const evidence = new Set(signed.attributes.map(({ key }) => key));
  return attributes.filter(({ key }) => !evidence.has(key));
}

/** The same message with the fields of every message in the other order, those of one list among themselves in their own. */
function rewritten(desc: DescMessage, bytes: Uint8Array): Uint8Array {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, Uint8Array[]>();
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    const contentStart = reader.pos;
    reader.skip(wireType);
    const field = desc.fields.find((known) => known.number === number);
    const inner =
      field?.message && wireType === 2
        ? rewritten(field.message, new BinaryReader(bytes.subarray(contentStart, reader.pos)).bytes())
        : undefined;
    // The length of what is inside is the same, and so is the head.
    const whole = inner
      ? [bytes.subarray(start, reader.pos - inner.length), inner]
      : [bytes.subarray(start, reader.pos)];
    fields.set(number, [...(fields.get(number) ?? []), ...whole]);
  }
  return new Uint8Array(Buffer.concat([...fields.values()].reverse().flat()));
}
