/** The fake, held to the vectors that the service is held to, and to the service's own table of refusals. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { decryptRecord, detailsOf, encryptRecord, RecordError } from "../src/index.ts";
import {
  InstrumentationScopeSchema,
  ResourceSchema,
  type SignSpanRequest,
  SignSpanRequestSchema,
  type Span,
  SpanSchema,
  VerifyReason,
} from "../src/messages.ts";
import { openBytes, SealedFileError, sealBytes } from "../src/node.ts";
import { createFakeKms, type FakeRpc, refusals } from "../src/testing.ts";
import { parseKeySet, verify } from "../src/verify.ts";

const vector = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../test/vectors/${name}.json`, import.meta.url), "utf8"));
const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const { kms, keySet } = createFakeKms();
const failure = async (call: Promise<unknown>) =>
  ConnectError.from(
    await call.then(
      () => "no error",
      (error) => error,
    ),
  );

interface Sealed {
  name: string;
  tenant_id: string;
  field: string;
  pairs: [string, string][];
  token: string;
}

const opened = async ({ tenant_id, field, pairs, token }: Omit<Sealed, "name">) => {
  const request = {
    tenantId: tenant_id,
    fields: [{ name: field, token }],
    encryptionContext: Object.fromEntries(pairs),
  };
  return (await kms.decryptPii(request)).fields[0]!.result;
};

describe("tokens and blobs", () => {
  it.each(vector("pii/tokens") as (Sealed & { plaintext_sha256: string })[])(
    "of the service open: $name",
    async (each) => {
      const { case: kind, value } = await opened(each);
      expect(kind).toBe("value");
      expect(sha256(value as Uint8Array)).toBe(each.plaintext_sha256);
    },
  );

  it.each(vector("pii/rejected") as Sealed[])("are refused as by the service: $name", async (each) => {
    expect(await opened(each)).toMatchObject({
      value: { code: Code.InvalidArgument, field: "fields[0].token", message: "ciphertext rejected" },
    });
  });

  it.each(vector("pii/reserved") as { name: string; token: string; says: string }[])(
    "of others say so: $name",
    async (each) => {
      const { value } = await opened({ tenant_id: "acme", field: "email", pairs: [], ...each });
      expect(value).toMatchObject({ code: Code.InvalidArgument, message: expect.stringContaining(each.says) });
    },
  );

  it.each(
    vector("pii/data-key-blobs") as {
      name: string;
      tenant_id: string;
      pairs: [string, string][];
      plaintext: string;
      ciphertext_blob: string;
    }[],
  )("are data keys: $name", async ({ tenant_id: tenantId, pairs, plaintext, ciphertext_blob: blob }) => {
    const request = { tenantId, ciphertextBlob: hex(blob), encryptionContext: Object.fromEntries(pairs) };
    expect(Buffer.from((await kms.decryptDataKey(request)).plaintext).toString("hex")).toBe(plaintext);
    const error = await failure(kms.decryptDataKey({ ...request, tenantId: "globex" }));
    expect([error.code, detailsOf(error).reason]).toEqual([Code.InvalidArgument, "CIPHERTEXT_REJECTED"]);
  });
});

describe("spans", () => {
  const { spans, signedAtMs, tenant } = vector("span/accepted");
  interface Accepted {
    name: string;
    signSpanRequest: string;
    statement: string;
    signature: string;
  }

  it.each(spans as Accepted[])(
    "are signed as by the service: $name",
    async ({ signSpanRequest, statement, signature }) => {
      const fake = createFakeKms({ now: () => signedAtMs });
      const request = fromBinary(SignSpanRequestSchema, hex(signSpanRequest));
      const signed = await fake.kms.signSpan(request);
      expect(Buffer.from(signed.statement).toString()).toBe(statement);
      expect(Buffer.from(signed.signature).toString("hex")).toBe(signature);

      // One vector has the attributes of a signature already; they are not part of what is signed.
      const own = (request.span?.attributes ?? []).filter(({ key }) =>
        signed.attributes.every((each) => each.key !== key),
      );
      const span = { ...request.span, attributes: [...own, ...signed.attributes] } as Span;
      await expectBoth({ ...request, span }, VerifyReason.OK);
      await expectBoth({ ...request, span: { ...span, name: `${span.name}!` } }, VerifyReason.SIGNATURE_MISMATCH);
      const { $typeName, ...unsigned } = request;
      const value = { statement: signed.statement, signature: signed.signature };
      expect(await kms.verifySpan({ ...unsigned, evidence: { case: "signedStatement", value } })).toMatchObject({
        verified: true,
        reason: VerifyReason.OK,
      });
    },
  );

  async function expectBoth({ $typeName, ...request }: SignSpanRequest, reason: VerifyReason) {
    expect((await kms.verifySpan(request)).reason).toBe(reason);
    const wire = fromBinary(SignSpanRequestSchema, toBinary(SignSpanRequestSchema, { $typeName, ...request }));
    const verdict = await verify(await parseKeySet(keySet()), {
      tenantId: tenant,
      span: toBinary(SpanSchema, wire.span!),
      ...(wire.resource && { resource: toBinary(ResourceSchema, wire.resource) }),
      ...(wire.scope && { scope: toBinary(InstrumentationScopeSchema, wire.scope) }),
    });
    expect(VerifyReason[verdict.reason]).toBe(reason);
  }

  const decodable = (vector("span/refused") as { name: string; span: string; field: string | null }[]).flatMap(
    (each) => {
      try {
        const span = fromBinary(SpanSchema, hex(each.span));
        // What a typed message cannot hold, no client can send.
        return Buffer.from(toBinary(SpanSchema, span)).equals(hex(each.span)) ? [{ ...each, message: span }] : [];
      } catch {
        return [];
      }
    },
  );

  it.each(decodable)("are refused with the field that is wrong: $name", async ({ message, field }) => {
    const error = await failure(kms.signSpan({ tenantId: "acme", span: message }));
    expect(error.code).toBe(Code.InvalidArgument);
    if (field !== null) expect(detailsOf(error).fields.map((each) => each.field)).toEqual([field]);
  });
});

describe("refusals", () => {
  it("are those of the service", () => {
    const rows = JSON.parse(readFileSync(new URL("../../conformance/refusals.json", import.meta.url), "utf8"));
    expect(Object.entries(refusals).map(([reason, row]) => ({ reason, ...row }))).toEqual(rows);
  });

  it.each(Object.keys(refusals) as (keyof typeof refusals)[])(
    "come as they were set, for so many calls: %s",
    async (reason) => {
      const fake = createFakeKms();
      fake.refuse("GenerateDataKey", reason, 1);
      const error = await failure(fake.kms.generateDataKey({ tenantId: "acme" }));
      const row: { code: Code; retryMs?: number; pushback?: string } = refusals[reason];
      expect(error.code).toBe(row.code);
      expect(detailsOf(error)).toMatchObject({ reason, retryAfterMs: row.retryMs });
      expect(error.metadata.get("grpc-retry-pushback-ms")).toBe(row.pushback ?? null);
      await expect(fake.kms.generateDataKey({ tenantId: "acme" })).resolves.toBeDefined();
    },
  );

  it("last until they are ended, and are of their call alone", async () => {
    const fake = createFakeKms();
    fake.refuse("EncryptPii", "OVERLOADED");
    const encrypt = () => encryptRecord(fake.kms, "acme", { email: "a" }, { email: "email" });
    for (let i = 0; i < 3; i += 1) await expect(encrypt()).rejects.toThrow(ConnectError);
    await expect(fake.kms.generateDataKey({ tenantId: "acme" })).resolves.toBeDefined();
    fake.allow("EncryptPii");
    await expect(encrypt()).resolves.toBeDefined();
  });

  it("name what there is if a name is wrong", () => {
    const fake = createFakeKms();
    expect(() => fake.refuse("Rotate" as FakeRpc, "INTERNAL")).toThrow(/EncryptPii/);
    expect(() => fake.refuse("EncryptPii", "BUSY" as never)).toThrow(/OVERLOADED/);
    expect(() => fake.allow("Rotate" as FakeRpc)).toThrow(/EncryptPii/);
  });
});

describe("a fake", () => {
  it("serves the package's records and sealed bytes, bound to their tenant", async () => {
    const names = { email: "email" } as const;
    const stored = await encryptRecord(kms, "acme", { email: "ann@example.com" }, names);
    expect(await decryptRecord(kms, "acme", stored, names)).toEqual({ email: "ann@example.com" });
    await expect(decryptRecord(kms, "globex", stored, names)).rejects.toThrow(RecordError);
    const sealed = await sealBytes(kms, "acme", new Uint8Array(40_000));
    expect(await openBytes(kms, "acme", sealed)).toEqual(new Uint8Array(40_000));
    await expect(openBytes(kms, "globex", sealed)).rejects.toThrow(SealedFileError);
  });

  it.each([
    ["tenant_id", () => kms.generateDataKey({ tenantId: "Acme Ltd" })],
    ["tenant_id", () => kms.encryptPii({})],
    ["key_spec", () => kms.generateDataKey({ tenantId: "acme", keySpec: 9 as never })],
    ["fields", () => kms.encryptPii({ tenantId: "acme" })],
    ["fields", () => kms.encryptPii({ tenantId: "acme", fields: Array(1_001).fill({ name: "a" }) })],
    ["fields[0].name", () => kms.encryptPii({ tenantId: "acme", fields: [{ value: new Uint8Array() }] })],
    [
      "fields[0].value",
      () => kms.encryptPii({ tenantId: "acme", fields: [{ name: "a", value: new Uint8Array(65_537) }] }),
    ],
    [
      "encryption_context",
      () => kms.generateDataKey({ tenantId: "acme", encryptionContext: { a: "b".repeat(4_096) } }),
    ],
  ])("refuses as the service what is wrong with %s", async (field, call) => {
    const error = await failure(call());
    expect(error.code).toBe(Code.InvalidArgument);
    expect(detailsOf(error)).toMatchObject({ reason: "INVALID_ARGUMENT", fields: [{ field }] });
  });

  it.each([
    ["Rotate", () => kms.rotate({ tenantId: "acme" })],
    ["SignSpans", () => Array.fromAsync(kms.signSpans((async function* () {})()))],
    ["GetCheckpoint", () => kms.log.getCheckpoint({ tenantId: "acme" })],
    ["ListKeys", () => kms.admin.listKeys({})],
  ])("says that it has no %s", async (name, call) => {
    const error = await failure(call());
    expect([error.code, error.rawMessage]).toEqual([
      Code.Unimplemented,
      expect.stringMatching(`${name}: the fake has no log`),
    ]);
  });

  it("calls interceptors, the first outermost", async () => {
    const seen: string[] = [];
    const named =
      (id: string): Interceptor =>
      (next) =>
      (request) => {
        seen.push(`${id} ${request.method.name}`);
        return next(request);
      };
    const fake = createFakeKms({ interceptors: [named("outer"), named("inner")] });
    await fake.kms.generateDataKey({ tenantId: "acme" });
    expect(seen).toEqual(["outer GenerateDataKey", "inner GenerateDataKey"]);
  });

  it("serves no call after the block that uses it", async () => {
    let kept: ReturnType<typeof createFakeKms>;
    {
      using fake = createFakeKms();
      await fake.kms.generateDataKey({ tenantId: "acme" });
      kept = fake;
    }
    await expect(kept.kms.generateDataKey({ tenantId: "acme" })).rejects.toThrow(/closed/);
  });
});
