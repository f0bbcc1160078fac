/** Spans as the OpenTelemetry SDK makes and exports them, signed and verified over gRPC, and altered in every way there is. */
import { clone, create, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
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
import { InstrumentationScopeSchema, ResourceSchema, SpanSchema } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { run } from "../support/cli-fixture.ts";
import { type RunningService, startService } from "../support/running-service.ts";
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

const verified = expect.objectContaining({ verified: true, reason: VerifyReason.OK });

describe("a span of the OpenTelemetry SDK", () => {
  it("has everything that this test is about", () => {
    const { span, resource, scope, request } = exported;
    const scalars = ["stringValue", "boolValue", "intValue", "doubleValue", "bytesValue", undefined];
    const cases = span.attributes.map(({ value }) => value?.value.case);
    expect(cases).toEqual(expect.arrayContaining([...scalars, "arrayValue", "kvlistValue"]));
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
});
