import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callByGrpcurl, grpcurl, runTool, startTools, type ToolsService } from "./tools.ts";

let service: ToolsService;
beforeAll(async () => {
  service = await startTools();
});
afterAll(async () => {
  await service.end();
});

const kms = "fluo.kms.v1.KmsService";
const keyAdmin = "fluo.kms.v1.KeyAdminService";
const logs = "fluo.kms.v1.LogService";
const base64 = (text: string) => Buffer.from(text).toString("base64");
const span = {
  trace_id: Buffer.from("5b8efff798038103d269b633813fc60c", "hex").toString("base64"),
  span_id: Buffer.from("eee19b7ec3c1b174", "hex").toString("base64"),
  name: "approve-loan",
  kind: "SPAN_KIND_INTERNAL",
  start_time_unix_nano: "1544712660000000000",
  end_time_unix_nano: "1544712661000000000",
  attributes: [{ key: "approved", value: { bool_value: false } }],
};

function describeOf(symbol: string): string {
  const { code, out, err } = runTool("grpcurl", [...service.grpcurlOptions(), service.grpc, "describe", symbol]);
  if (code !== 0) throw new Error(`${symbol}: ${err}`);
  return out;
}

function listed(...symbol: string[]): string[] {
  const { out } = runTool("grpcurl", [...service.grpcurlOptions(), service.grpc, "list", ...symbol]);
  return out.trimEnd().split("\n");
}

describe("reflection", () => {
  it("lists the key services and health", () => {
    expect(listed()).toEqual(expect.arrayContaining([kms, keyAdmin, logs, "grpc.health.v1.Health"]));
  });

  it("describes the services, their rpcs with them", () => {
    expect(describeOf(kms)).toContain("rpc SignSpans ( stream .fluo.kms.v1.SignSpansRequest ) returns");
    expect(describeOf(keyAdmin)).toContain("rpc ListAuditEvents");
    expect(describeOf(logs)).toContain("rpc GetConsistencyProof");
    expect(describeOf("grpc.health.v1.Health")).toContain("rpc Watch");
  });

  it("describes every message that an rpc reaches", () => {
    const toDo = [kms, keyAdmin, logs, "grpc.health.v1.Health"];
    const done = new Set<string>();
    for (let symbol = toDo.pop(); symbol !== undefined; symbol = toDo.pop()) {
      if (done.has(symbol)) continue;
      done.add(symbol);
      for (const [, name] of describeOf(symbol).matchAll(/[ (<]\.([a-z][\w.]*\.[A-Z][\w.]*)/g)) toDo.push(name!);
    }
    expect([...done]).toEqual(
      expect.arrayContaining([
        "fluo.kms.v1.SpanStatus",
        "fluo.kms.v1.EntityRef",
        "fluo.kms.v1.ItemError",
        "fluo.kms.v1.KeyState",
        "google.protobuf.Timestamp",
        "grpc.health.v1.HealthCheckResponse",
      ]),
    );
    expect(done.size).toBeGreaterThan(60);
  });

  it.each(["Status", "BadRequest", "ErrorInfo", "RetryInfo"])("describes google.rpc.%s", (name) => {
    expect(describeOf(`google.rpc.${name}`)).toContain(`google.rpc.${name} is a message`);
  });
});

describe("each rpc", () => {
  const calls: Record<string, () => void> = {
    GenerateDataKey() {
      const key = grpcurl(service, "GenerateDataKey", { tenant_id: "acme", key_spec: "KEY_SPEC_AES_128" });
      expect(Buffer.from(key.plaintext!, "base64")).toHaveLength(16);
    },
    DecryptDataKey() {
      const encryption_context = { table: "customers" };
      const made = grpcurl(service, "GenerateDataKey", { tenant_id: "acme", encryption_context });
      const request = { tenant_id: "acme", ciphertext_blob: made.ciphertextBlob, encryption_context };
      expect(grpcurl(service, "DecryptDataKey", request)).toEqual({ plaintext: made.plaintext, keyId: made.keyId });
    },
    EncryptPii() {
      expect(encrypted("email", "ann@example.com")).toMatchObject({
        name: "email",
        token: expect.stringMatching(/^fk1\./),
      });
    },
    DecryptPii() {
      const { token } = encrypted("email", "ann@example.com");
      const fields = [
        { name: "email", token },
        { name: "phone", token },
      ];
      expect(grpcurl(service, "DecryptPii", { tenant_id: "acme", fields }).fields).toMatchObject([
        { name: "email", value: base64("ann@example.com") },
        { name: "phone", error: { code: 3, message: expect.stringMatching(/ciphertext rejected/) } },
      ]);
    },
    ReEncryptPii() {
      const old = encrypted("email", "ann@example.com");
      grpcurl(service, "Rotate", { tenant_id: "acme", purpose: "KEY_PURPOSE_DATA", force: true });
      const answer = grpcurl(service, "ReEncryptPii", { tenant_id: "acme", fields: [old] });
      expect(grpcurl(service, "DecryptPii", { tenant_id: "acme", fields: answer.fields }).fields).toEqual([
        { name: "email", value: base64("ann@example.com") },
      ]);
    },
    SignSpan() {
      const signed = grpcurl(service, "SignSpan", { tenant_id: "acme", span });
      expect(Buffer.from(signed.signature!, "base64")).toHaveLength(64);
      expect(JSON.parse(Buffer.from(signed.statement!, "base64").toString()).predicate.keyId).toBe(signed.keyId);
    },
    SignSpans() {
      const resource_spans = [{ scope_spans: [{ spans: [span, { ...span, trace_id: "" }] }] }];
      const { results, batchDone } = grpcurl(service, "SignSpans", { tenant_id: "acme", resource_spans });
      expect(batchDone).toBe(true);
      expect(results).toMatchObject([
        { signed: { signature: expect.any(String), signedAt: expect.any(String) } },
        { error: { code: 3, field: expect.stringMatching(/spans\[1\]\.trace_id$/) } },
      ]);
    },
    VerifySpan() {
      const { attributes } = grpcurl(service, "SignSpan", { tenant_id: "acme", span }) as unknown as {
        attributes: never[];
      };
      const signed = { ...span, attributes: [...span.attributes, ...attributes] };
      const verdictOn = (each: object) => grpcurl(service, "VerifySpan", { tenant_id: "acme", span: each });
      expect(verdictOn(signed)).toMatchObject({ verified: true, reason: "VERIFY_REASON_OK" });
      expect(verdictOn({ ...signed, name: "deny-loan" })).toMatchObject({ reason: "VERIFY_REASON_SIGNATURE_MISMATCH" });
    },
    GetPublicKeys() {
      const { keyId } = grpcurl(service, "SignSpan", { tenant_id: "acme", span });
      expect(grpcurl(service, "GetPublicKeys", { tenant_id: "acme" }).keys).toMatchObject([
        { keyId, version: 1, state: "KEY_STATE_ACTIVE", jwk: { kty: "OKP", crv: "Ed25519", kid: keyId } },
      ]);
    },
    Rotate() {
      grpcurl(service, "GenerateDataKey", { tenant_id: "rotated" });
      const request = { tenant_id: "rotated", purpose: "KEY_PURPOSE_DATA", force: true };
      expect(grpcurl(service, "Rotate", request).rotated).toMatchObject([{ key: { version: 2 } }]);
    },
    Validate() {
      expect(grpcurl(service, "Validate", {})).toMatchObject({ provider: "local", overall: "OUTCOME_PASS" });
    },
    Status() {
      expect(grpcurl(service, "Status", {})).toMatchObject({ provider: "local", status: "HEALTH_OPERATIONAL" });
    },
  };

  it.each(Object.keys(calls))("%s answers", (rpc) => calls[rpc]!());

  it("is in the list above", () => {
    expect(listed(kms).sort()).toEqual(
      Object.keys(calls)
        .sort()
        .map((rpc) => `${kms}.${rpc}`),
    );
  });

  function encrypted(name: string, value: string): { name: string; token: string } {
    const answer = grpcurl(service, "EncryptPii", { tenant_id: "acme", fields: [{ name, value: base64(value) }] });
    return (answer as unknown as { fields: { name: string; token: string }[] }).fields[0]!;
  }
});

describe("each rpc of key administration", () => {
  interface Listed {
    version: { tenantId: string; keyId: string; version: number };
    state: string;
  }

  /** A tenant's first data key, and the reference to it that requests take. */
  function key(tenant_id: string) {
    const { keyId } = grpcurl(service, "GenerateDataKey", { tenant_id });
    return { tenant_id, key_id: keyId as unknown as string };
  }

  function change(rpc: string, request: object): Listed {
    return grpcurl(service, `KeyAdminService/${rpc}`, request).key as unknown as Listed;
  }

  const calls: Record<string, () => void> = {
    ListKeys() {
      const { tenant_id, key_id } = key("listed");
      expect(grpcurl(service, "KeyAdminService/ListKeys", { tenant_id }).keys).toMatchObject([
        { version: { tenantId: "listed", keyId: key_id, version: 1 }, state: "KEY_STATE_ACTIVE" },
      ]);
    },
    DisableKey() {
      const { err } = disabled("disabled");
      expect(err).toContain("Code: FailedPrecondition");
    },
    EnableKey() {
      const { reference } = disabled("enabled");
      expect(change("EnableKey", reference).state).toBe("KEY_STATE_ACTIVE");
      expect(grpcurl(service, "GenerateDataKey", { tenant_id: "enabled" }).keyId).toBe(reference.key_id);
    },
    MarkKeyCompromised() {
      const reference = key("compromised");
      const answer = grpcurl(service, "KeyAdminService/MarkKeyCompromised", reference);
      expect(answer).toMatchObject({
        key: { state: "KEY_STATE_COMPROMISED" },
        replacement: { state: "KEY_STATE_ACTIVE", version: { version: 2 } },
      });
    },
    ScheduleKeyDestruction() {
      const scheduled = change("ScheduleKeyDestruction", { ...key("scheduled"), days: 7 });
      expect(scheduled).toMatchObject({ state: "KEY_STATE_DESTROY_SCHEDULED", destroyAt: expect.anything() });
    },
    CancelKeyDestruction() {
      const reference = key("cancelled");
      change("ScheduleKeyDestruction", { ...reference, days: 7 });
      expect(change("CancelKeyDestruction", reference).state).toBe("KEY_STATE_DISABLED");
    },
    RewrapKeys() {
      const answer = grpcurl(service, "KeyAdminService/RewrapKeys", { page_size: 10, dry_run: true });
      const providerKeyId = expect.stringMatching(/^local:[0-9a-f]{16}$/);
      expect(answer).toEqual({ provider: "local", providerKeyId, dryRun: true });
      const { err } = callByGrpcurl(service, "KeyAdminService/RewrapKeys", { page_size: 1001 });
      expect(err).toContain("Code: InvalidArgument");
    },
    ListAuditEvents() {
      const { tenant_id, key_id } = key("audited");
      const { events } = grpcurl(service, "KeyAdminService/ListAuditEvents", { tenant_id });
      const created = { actor: service.caller, action: "create", keyId: key_id, outcome: "OK" };
      // Its use is another row, which may be written by now.
      expect(events).toContainEqual(expect.objectContaining(created));
    },
    VerifyAudit() {
      expect(grpcurl(service, "KeyAdminService/VerifyAudit", {})).toMatchObject({ ok: true });
    },
    AcceptRollback() {
      const { err } = callByGrpcurl(service, "KeyAdminService/AcceptRollback", { digest: "0".repeat(64) });
      expect(err).toContain("Code: InvalidArgument");
    },
  };

  it.each(Object.keys(calls))("%s answers", (rpc) => calls[rpc]!());

  it("is in the list above", () => {
    expect(listed(keyAdmin).sort()).toEqual(
      Object.keys(calls)
        .sort()
        .map((rpc) => `${keyAdmin}.${rpc}`),
    );
  });

  function disabled(tenant: string) {
    const reference = key(tenant);
    expect(change("DisableKey", reference).state).toBe("KEY_STATE_DISABLED");
    return { reference, ...callByGrpcurl(service, "GenerateDataKey", { tenant_id: tenant }) };
  }
});

describe("each rpc of the logs", () => {
  const root = expect.stringMatching(/^[\w+/]{43}=$/);
  const head = (size: number) => ({ log: 1, origin: "localhost/logged", size: `${size}`, root });

  beforeAll(() => {
    const resource_spans = [{ scope_spans: [{ spans: [span, span, span] }] }];
    const { checkpoint } = grpcurl(service, "SignSpans", {
      tenant_id: "logged",
      mode: "SIGN_MODE_LOG",
      resource_spans,
    });
    expect(checkpoint).toMatch(/^localhost\/logged\n3\n/);
  });

  const calls: Record<string, () => void> = {
    GetCheckpoint() {
      const checkpoint = expect.stringMatching(/^localhost\/logged\n3\n/);
      expect(grpcurl(service, "LogService/GetCheckpoint", { tenant_id: "logged" })).toEqual({
        head: head(3),
        checkpoint,
      });
    },
    GetInclusionProof() {
      const { entry, ...found } = grpcurl(service, "LogService/GetInclusionProof", {
        tenant_id: "logged",
        leaf_index: 1,
      });
      const proof = expect.stringMatching(/^c2sp\.org\/tlog-proof@v1\nindex 1\n/);
      expect(found).toEqual({ head: head(3), leafIndex: "1", hashes: [root, root], proof });
      expect(JSON.parse(Buffer.from(entry!, "base64").toString()).predicate.tenant).toBe("logged");
    },
    GetConsistencyProof() {
      const request = { tenant_id: "logged", from_size: 2, to_size: 3 };
      expect(grpcurl(service, "LogService/GetConsistencyProof", request)).toMatchObject({
        from: head(2),
        to: head(3),
        hashes: [root],
      });
      const { err } = callByGrpcurl(service, "LogService/GetConsistencyProof", { ...request, to_size: 4 });
      expect(err).toContain("Code: InvalidArgument");
    },
  };

  it.each(Object.keys(calls))("%s answers", (rpc) => calls[rpc]!());

  it("is in the list above", () => {
    expect(listed(logs).sort()).toEqual(
      Object.keys(calls)
        .sort()
        .map((rpc) => `${logs}.${rpc}`),
    );
  });
});

describe("a bad request", () => {
  it("comes with details that grpcurl decodes, and that name the field", () => {
    const { code, err } = callByGrpcurl(service, "GenerateDataKey", { tenant_id: "Acme Ltd" });
    expect(code).not.toBe(0);
    expect(err).toContain("Code: InvalidArgument");
    expect(err).toContain('"@type": "type.googleapis.com/google.rpc.ErrorInfo"');
    expect(err).toMatch(/google\.rpc\.BadRequest"[\s\S]*"field": "tenant_id"/);
  });

  it("says of an id given in hex that it is to be base64", () => {
    const inHex = { ...span, trace_id: "5b8efff798038103d269b633813fc60c" };
    const { err } = callByGrpcurl(service, "SignSpan", { tenant_id: "acme", span: inHex });
    expect(err).toMatch(/span\.trace_id.*base64/);
  });
});
