/** Which role each rpc asks its caller for, before anything else is looked at, and what is in the trail of a caller that has it not. */
import { create, type DescMethod, toBinary } from "@bufbuild/protobuf";
import { afterAll, describe, expect, it } from "vitest";
import { DecryptDataKeyRequestSchema, GenerateDataKeyRequestSchema } from "../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { MarkKeyCompromisedRequestSchema } from "../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { StatusRequestSchema } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import {
  DecryptPiiRequestSchema,
  EncryptPiiRequestSchema,
  ReEncryptPiiRequestSchema,
} from "../../gen/ts/fluo/kms/v1/pii_pb.ts";
import type { Handler } from "../../src/audit/audited.ts";
import { createCaller, type InForce } from "../../src/auth/caller.ts";
import { createBatchPool } from "../../src/batch/pool/pool.ts";
import type { CallContext } from "../../src/call/context.ts";
import { type Role, roleOf, roles } from "../../src/call/roles.ts";
import type { KmsError } from "../../src/errors.ts";
import { keyAdminMethods } from "../../src/service/key-admin/handlers.ts";
import { kmsMethods } from "../../src/service/kms/handlers.ts";
import { statusHandlers } from "../../src/service/kms/status-handler.ts";
import { signSpans } from "../../src/service/kms/sign-spans.ts";
import { logHandlers, logMethods } from "../../src/service/log/handlers.ts";
import { createHeads } from "../../src/tenant-log/heads.ts";
import { createSequencer } from "../../src/tenant-log/sequencer.ts";
import type { AnyMethod } from "../../src/transport/services.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { auditedHandlers } from "../support/audited-handlers.ts";
import { countingStore } from "../support/keys-fixture.ts";
import { batchOf, spansFrom } from "../support/made-batches.ts";
import { thrownBy } from "../support/matchers.ts";
import { len, message } from "../support/otlp-wire.ts";
import { callerUnder, inForce, prometheus, rule } from "../support/policy-fixture.ts";
import { setUp as setUpService } from "../support/service-fixture.ts";

const pool = createBatchPool({ threads: 1 });
afterAll(() => pool.close());

const tenantId = "acme";
const keyId = "0123456789abcdef".repeat(2);

function setUp() {
  let calls: string[] = [];
  const service = setUpService((store) => {
    const counted = countingStore(store);
    calls = counted.calls;
    return counted.store;
  });
  const { parts, keyring, store } = service;
  const heads = createHeads({ store, issuer: "test", time: parts.time });
  const sequencer = createSequencer({ store, heads, keys: keyring, pool, time: parts.time });
  return {
    ...service,
    log: auditedHandlers(logHandlers({ logs: parts.logs }), logMethods, parts.observer),
    stream: signSpans({ ...parts, pool, sequencer, batchTook() {} }),
    /** What was asked of the store, beside what the trail writes by itself. */
    asked: () => calls.filter((name) => !["appendAudit", "auditHead"].includes(name)),
  };
}

type Service = ReturnType<typeof setUp>;

const methods = { ...KmsService.method, ...KeyAdminService.method, ...LogService.method };
type Unary = Exclude<keyof typeof roleOf, "signSpans">;

interface Asked {
  rpc: keyof typeof roleOf;
  /** As the trail has it. */
  action: string;
  /** Whether no tenant is named, or the role has to be for all tenants whichever is. */
  forAll?: true;
  /** Whether it names a tenant nevertheless. */
  names?: true;
  ask(service: Service, call: CallContext, tenantId: string): unknown;
}

/** Asks a handler as a transport does, with these fields beside the tenant. */
function asking(rpc: Unary, fields: object = {}): Asked["ask"] {
  return ({ kms, admin, log }, call, tenantId) => {
    const { input }: DescMethod = methods[rpc];
    const request = create(input, { ...("tenantId" in input.field && { tenantId }), ...fields } as never);
    const { codec }: AnyMethod = { ...kmsMethods, ...keyAdminMethods, ...logMethods }[rpc];
    const handler = { ...kms, ...admin, ...log }[rpc] as Handler;
    return handler((codec?.decode?.(toBinary(input, request)) ?? request) as never, call);
  };
}

const fields = [{ name: "email", value: Buffer.from("a") }];
const tokens = [{ name: "email", token: "x" }];

/** Requests that name a tenant, as the trail has them. */
const ofTenant: [Unary, action: string, fields?: object][] = [
  ["generateDataKey", "generate_data_key"],
  ["decryptDataKey", "decrypt_data_key"],
  ["encryptPii", "encrypt_pii", { fields }],
  ["decryptPii", "decrypt_pii", { fields: tokens }],
  ["reEncryptPii", "re_encrypt_pii", { fields: tokens }],
  ["signSpan", "sign_span", { span: plainSpan }],
  ["verifySpan", "verify_span", { span: plainSpan }],
  ["getPublicKeys", "get_public_keys"],
  ["getCheckpoint", "read_log"],
  ["getInclusionProof", "read_log"],
  ["getConsistencyProof", "read_log"],
  ["rotate", "rotate"],
  ["status", "status"],
  ["listKeys", "list_keys"],
  ["disableKey", "disable", { keyId }],
  ["enableKey", "enable", { keyId }],
  ["markKeyCompromised", "mark_compromised", { keyId }],
  ["scheduleKeyDestruction", "schedule_destruction", { keyId }],
  ["cancelKeyDestruction", "cancel_destruction", { keyId }],
  ["listAuditEvents", "list_audit_events"],
];

/** Requests that name none, and need the role for all tenants. */
const ofAll: [Unary, action: string, fields?: object][] = [
  ["rotate", "rotate"],
  ["validate", "validate"],
  ["status", "status"],
  ["listKeys", "list_keys"],
  ["rewrapKeys", "rewrap"],
  ["acceptRollback", "accept_rollback", { digest: "0".repeat(64) }],
  ["listAuditEvents", "list_audit_events"],
  ["verifyAudit", "verify_audit"],
];

const noTenant = (rpc: Unary) => "tenantId" in methods[rpc].input.field && { tenantId: "" };
const everything: Asked[] = [
  ...ofTenant.map(([rpc, action, more]) => ({ rpc, action, ask: asking(rpc, more) })),
  ...ofAll.map(([rpc, action, more]) => ({
    rpc,
    action,
    forAll: true as const,
    ask: asking(rpc, { ...noTenant(rpc), ...more }),
  })),
  { rpc: "validate", action: "validate", forAll: true, names: true, ask: asking("validate") },
  {
    rpc: "signSpans",
    action: "sign_span",
    ask: ({ stream }, call, tenantId) => stream(call).take(message(len(2, tenantId), batchOf(spansFrom(0, 1)))),
  },
  {
    rpc: "getPublicKeys",
    action: "get_public_keys",
    ask: ({ kms }, call, tenantId) => kms.publicKeySet({ tenantId }, call),
  },
  {
    rpc: "getCheckpoint",
    action: "read_log",
    ask: ({ log }, call, tenantId) => log.getTile({ tenantId, log: 0, path: "tile/0/000" }, call),
  },
];

const titled = everything.map((asked) => [`${asked.rpc}${asked.forAll ? ", for all tenants" : ""}`, asked] as const);

function callBy(policy: InForce): CallContext {
  return { caller: callerUnder(policy, prometheus), signal: new AbortController().signal };
}

const holding = (role: Role, tenants: string) => callBy(inForce(rule({ roles: `[${role}]`, tenants })));

/** The caller's error if it was denied; undefined for an answer or another error. */
async function denial(ask: () => unknown): Promise<KmsError | undefined> {
  try {
    await ask();
  } catch (error) {
    if ((error as KmsError).code === "PERMISSION_DENIED") return error as KmsError;
  }
  return undefined;
}

it("there is a request of every rpc", () => {
  expect(new Set(everything.map(({ rpc }) => rpc))).toEqual(new Set(Object.keys(roleOf)));
});

describe("attack 50: a caller", () => {
  it.each(titled)("with the one role of %s has it, for its tenants alone", async (_title, { rpc, forAll, ask }) => {
    const service = setUp();
    const [some, all] = ["[acme, b-*]", '"*"'].map((tenants) => holding(roleOf[rpc], tenants));
    const error = await denial(() => ask(service, some!, tenantId));
    expect(error?.message).toBe(forAll && `the caller may not ${roleOf[rpc]} for all tenants`);
    expect(await denial(() => ask(service, all!, tenantId))).toBeUndefined();
  });

  it.each(titled)(
    "without the role of %s is refused before the store is asked, and is in the trail",
    async (_title, { rpc, action, forAll, names, ask }) => {
      const service = setUp();
      const others = roles.filter((role) => role !== roleOf[rpc] && !["destroy", "mark-compromised"].includes(role));
      const call = callBy(inForce(rule({ roles: `[${others.join(", ")}]`, tenants: '"*"' })));
      const error = await denial(() => ask(service, call, tenantId));
      const where = forAll ? "for all tenants" : "for this tenant";
      expect(error).toMatchObject({
        message: `the caller may not ${roleOf[rpc]} ${where}`,
        metadata: { role: roleOf[rpc] },
      });
      expect(service.asked()).toEqual([]);
      const named = forAll && !names ? "" : tenantId;
      expect(await service.rows()).toMatchObject([
        { actor: "token:prometheus", action, tenantId: named, outcome: "PERMISSION_DENIED", count: 1 },
      ]);
    },
  );

  it.each(titled.filter(([, { forAll }]) => !forAll))(
    "without it is told no more of %s by a tenant that exists than by none",
    async (_title, { rpc, ask }) => {
      const service = setUp();
      await service.keyring.activeDataKey("globex");
      await service.keyring.activeSigningKey("globex");
      const before = service.asked().length;
      const call = holding(roleOf[rpc], "[acme]");
      const told = new Set<string>();
      for (const tenant of ["globex", "nobody"]) {
        const { code, message, metadata, violations } = (await denial(() => ask(service, call, tenant)))!;
        told.add(JSON.stringify({ code, message, metadata, violations }));
      }
      expect(told.size).toBe(1);
      expect([...told][0]).not.toMatch(/globex|nobody/);
      expect(service.asked()).toHaveLength(before);
      expect(await service.rows()).toMatchObject([
        { tenantId: "globex", outcome: "PERMISSION_DENIED" },
        { tenantId: "nobody", outcome: "PERMISSION_DENIED" },
      ]);
    },
  );

  it("is told of the tenant's form before its roles, and of nothing else before them", async () => {
    const service = setUp();
    const stranger = callBy(inForce());
    for (const { rpc, ask } of everything.filter(({ forAll, names }) => names || !forAll)) {
      const error = await thrownBy(() => ask(service, stranger, "Not a tenant"));
      expect(error, rpc).toBeKmsError("INVALID_ARGUMENT", "tenant_id");
    }
    const malformed: Partial<Record<Unary, object>> = {
      generateDataKey: { keySpec: 99 },
      decryptDataKey: { ciphertextBlob: Buffer.from("x") },
      encryptPii: {},
      decryptPii: {},
      reEncryptPii: {},
      getPublicKeys: { pageToken: "x" },
      rotate: { requestId: "a b" },
      listKeys: { pageToken: "x" },
      disableKey: { keyId: "x" },
      scheduleKeyDestruction: { keyId, days: 99 },
      acceptRollback: { digest: "x" },
      rewrapKeys: { pageToken: "x" },
      listAuditEvents: { keyId: "x" },
    };
    const { log, stream } = service;
    const asked = [
      ...Object.entries(malformed).map(([rpc, more]) => [rpc, asking(rpc as Unary, more)] as const),
      ["signSpans", () => stream(stranger).take(message(len(2, tenantId), batchOf([])))],
      ["getTile", () => log.getTile({ tenantId, log: 0, path: "no tile" }, stranger)],
    ] as [string, Asked["ask"]][];
    for (const [name, ask] of asked) {
      expect(await thrownBy(() => ask(service, stranger, tenantId)), name).toBeKmsError("PERMISSION_DENIED");
    }
    expect(service.asked()).toEqual([]);
  });
});

describe("attack 54: a COMPROMISED key", () => {
  async function meet() {
    const { kms, admin } = setUp();
    const most = roles.filter((role) => role !== "destroy" && role !== "sign");
    const all = callBy(inForce(rule({ roles: `[${most.join(", ")}]`, tenants: '"*"' })));
    const sealed = await kms.encryptPii(create(EncryptPiiRequestSchema, { tenantId, fields }), all);
    const { ciphertextBlob, plaintext } = await kms.generateDataKey(
      create(GenerateDataKeyRequestSchema, { tenantId }),
      all,
    );
    await admin.markKeyCompromised(create(MarkKeyCompromisedRequestSchema, { tenantId, keyId: sealed.keyId }), all);
    const opening = { tenantId, fields: sealed.fields };
    /** What each answers, or that it may not. */
    const opens = {
      decrypt: async (call: CallContext) =>
        (await kms.decryptPii(create(DecryptPiiRequestSchema, opening), call)).fields[0]!.result,
      "re-encrypt": async (call: CallContext) =>
        (await kms.reEncryptPii(create(ReEncryptPiiRequestSchema, opening), call)).fields[0]!.result,
      "decrypt-data-key": async (call: CallContext) =>
        kms.decryptDataKey(create(DecryptDataKeyRequestSchema, { tenantId, ciphertextBlob }), call),
    };
    return { opens, plaintext };
  }

  it.each(["decrypt", "re-encrypt", "decrypt-data-key"] as const)(
    "opens by %s with break-glass for its tenant, and by neither alone",
    async (role) => {
      const { opens, plaintext } = await meet();
      const open = opens[role];
      const given = (tenants: string, glassFor: string) =>
        callBy(
          inForce(
            rule({ roles: `[${role}]`, tenants }),
            rule({ name: "b", roles: "[break-glass]", tenants: glassFor }),
          ),
        );
      const opened = { decrypt: { case: "value" }, "re-encrypt": { case: "token" }, "decrypt-data-key": { plaintext } };
      for (const glass of ["[acme]", '"*"', "[ac-*, acme]"]) {
        expect(await open(given("[acme]", glass))).toMatchObject(opened[role]);
      }
      for (const call of [holding(role, '"*"'), given('"*"', "[globex]")]) {
        if (role === "decrypt-data-key") {
          expect(await thrownBy(() => open(call))).toBeKmsError("KEY_UNUSABLE", "break-glass");
        } else {
          const value = { field: "fields[0].token", message: expect.stringContaining("break-glass") };
          expect(await open(call)).toMatchObject({ case: "error", value });
        }
      }
      expect(await thrownBy(() => open(holding("break-glass", '"*"')))).toBeKmsError("PERMISSION_DENIED");
    },
  );
});

describe("a stream", () => {
  const batch = () => batchOf(spansFrom(0, 1));
  const first = () => message(len(2, tenantId), batch());

  it("attack 43: ends at the first batch behind a policy that does not let its caller sign", async () => {
    const service = setUp();
    let policy = inForce(rule());
    const caller = createCaller({ identity: prometheus, inForce: () => policy });
    const stream = service.stream({ caller, signal: new AbortController().signal });
    await stream.take(first());
    policy = inForce(rule({ name: "still" }));
    await stream.take(batch());
    policy = inForce(rule({ tenants: "[globex]" }));
    const error = await thrownBy(() => stream.take(batch()));
    expect(error).toBeKmsError("PERMISSION_DENIED", "the caller may not sign for this tenant");
    policy = inForce(rule());
    expect(await thrownBy(() => stream.take(batch()))).toBe(error);
    expect(await service.rows()).toMatchObject([
      { action: "sign_span", tenantId, outcome: "OK", count: 1, rule: "a" },
      { action: "sign_span", tenantId, outcome: "OK", count: 1, rule: "still" },
      { action: "sign_span", tenantId, outcome: "PERMISSION_DENIED", count: 1 },
    ]);
  });
});

describe("Status for a caller that has the role for some tenants alone", () => {
  it("tells of the tenant's keys, its provider key and the service's health, and of nothing else", async () => {
    const { kms, parts, keyring, provider, asked } = setUp();
    await keyring.activeDataKey(tenantId);
    await keyring.activeDataKey("globex");
    const condition = () => parts.watches[0]!.current();
    const own = {
      name: "their-key",
      provider: "aws",
      tenants: 7,
      open: { watch: { provider, current: condition } },
      condition,
    };
    const tenantProviderKeys = { all: () => [own, own], keyOf: (id: string) => (id === tenantId ? own : undefined) };
    const { status } = statusHandlers({ ...parts, tenantProviderKeys });
    const before = asked().length;
    const { $typeName, ...answer } = await status(
      create(StatusRequestSchema, { tenantId }),
      holding("status", "[acme]"),
    );
    expect(asked().slice(before)).toEqual(["counts"]);
    const told = Object.entries(answer).filter(([, value]) =>
      Array.isArray(value) ? value.length > 0 : value !== "" && value !== 0 && value !== undefined,
    );
    expect(Object.fromEntries(told)).toMatchObject({
      status: 1,
      keys: [{ purpose: "data", state: "ACTIVE", count: 1n }],
      tenantKeys: [{ name: "their-key", tenants: 0, detail: "in this process" }],
      tenantKeysTotal: 1,
    });
    expect(told.map(([name]) => name).sort()).toEqual(["keys", "status", "tenantKeys", "tenantKeysTotal"]);
    const all = await kms.status(create(StatusRequestSchema, { tenantId }), holding("status", '"*"'));
    expect(all.provider).toBe("local");
    expect(all.keys).toMatchObject([{ purpose: "data", state: "ACTIVE", count: 1n }]);
  });
});
