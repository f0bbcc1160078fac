/** Calls over Connect and gRPC: errors, pages, tokens, and what a client refuses before it sends anything. */
import { Code, ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PolicyService, startPolicyService, tokenPolicy } from "../../../test/support/policy-service.ts";
import { createKms, detailsOf, type Kms, listKeys, listPublicKeys } from "../src/index.ts";
import { createGrpcKms, type GrpcKms } from "../src/node/grpc-kms.ts";
import { serviceConfig } from "../src/node/service-config.ts";

let service: PolicyService;
let target: string;
let gRPC: GrpcKms;
let clients: Record<string, Kms>;
const token = () => service.tokens.app!;
const policy = tokenPolicy({ app: { roles: ["generate-data-key", "status", "verify", "operate", "encrypt"] } });

beforeAll(async () => {
  service = await startPolicyService(policy);
  target = `127.0.0.1:${service.grpcPort}`;
  gRPC = createGrpcKms({ target, insecure: true, token });
  clients = { gRPC, Connect: createKms({ baseUrl: service.url, token }) };
});
afterAll(async () => {
  gRPC.close();
  await service.stop();
});

const failure = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

describe.each(["gRPC", "Connect"])("%s", (name) => {
  it("says why a call is refused", async () => {
    const error = await failure(clients[name]!.generateDataKey({ tenantId: "NOT A TENANT" }));
    expect(error).toBeInstanceOf(ConnectError);
    expect((error as ConnectError).code).toBe(Code.InvalidArgument);
    expect(detailsOf(error)).toMatchObject({
      ...{ reason: expect.any(String), fields: [{ field: "tenant_id", description: expect.any(String) }] },
    });
  });

  it("gives lists page by page", async () => {
    const kms = clients[name]!;
    await kms.generateDataKey({ tenantId: "pages" });
    await kms.rotate({ tenantId: "pages" });
    const ids = async (pageSize: number) =>
      (await Array.fromAsync(listKeys(kms, { tenantId: "pages", pageSize }))).map(({ version }) => version!.keyId);
    expect((await ids(1)).length).toBeGreaterThan(0);
    expect(await ids(1)).toEqual(await ids(100));
    expect(await Array.fromAsync(listPublicKeys(kms, { tenantId: "pages", pageSize: 1 }))).toEqual([]);
  });

  it("is ended by the caller", async () => {
    const error = await failure(clients[name]!.status({}, { signal: AbortSignal.abort() }));
    expect(ConnectError.from(error).code).toBe(Code.Canceled);
  });

  it("has no deadline where the caller sets it to 0", async () => {
    await expect(clients[name]!.status({}, { timeoutMs: 0 })).resolves.toBeDefined();
  });

  it("asks for the token at each call", async () => {
    const given = [service.tokens.app!, "wrong", service.tokens.app!];
    const next = async () => given.shift()!;
    const kms =
      name === "gRPC"
        ? createGrpcKms({ target, insecure: true, token: next })
        : createKms({ baseUrl: service.url, token: next });
    await kms.status({});
    expect(ConnectError.from(await failure(kms.status({}))).code).toBe(Code.Unauthenticated);
    await kms.status({});
    if ("close" in kms) (kms as GrpcKms).close();
  });

  it("shows no token that a header cannot hold, nor in the error", async () => {
    const bad = () => "se\ncret";
    const kms =
      name === "gRPC"
        ? createGrpcKms({ target, insecure: true, token: bad })
        : createKms({ baseUrl: service.url, token: bad });
    const error = await failure(kms.status({}));
    expect(String(error)).toMatch(/printable/);
    expect(String(error)).not.toMatch(/se\ncret/);
  });
});

describe("a client", () => {
  it("refuses cleartext to another host unless it is asked for, and a token over it always", () => {
    expect(() => createKms({ baseUrl: "http://kms.example.com" })).toThrow(/insecure: true/);
    expect(() => createKms({ baseUrl: "http://kms.example.com", insecure: true })).not.toThrow();
    expect(() => createKms({ baseUrl: "http://kms.example.com", insecure: true, token })).toThrow(/TLS/);
    expect(() => createGrpcKms({ target: "192.0.2.1:9000", insecure: true, token })).toThrow(/TLS/);
    expect(() => createGrpcKms({ target: "localhost.example.com:9000", insecure: true, token })).toThrow(/TLS/);
    for (const each of ["localhost:1", "127.0.0.1:1", "[::1]:1"])
      expect(() => createGrpcKms({ target: each, insecure: true, token }).close()).not.toThrow();
    expect(() => createKms({ baseUrl: "https://kms.example.com", token })).not.toThrow();
  });

  it("needs both files of a certificate", () => {
    expect(() => createGrpcKms({ target, certificateFile: "x" })).toThrow(/keyFile/);
  });

  it("reads details of grpc-js's own errors, and none of anything else", () => {
    const metadata = new grpc.Metadata();
    metadata.set("grpc-status-details-bin", Buffer.from("ff", "hex"));
    for (const error of [undefined, null, 5, new Error("x"), { metadata }, { metadata: { get: 7 } }])
      expect(detailsOf(error)).toEqual({ reason: undefined, fields: [], retryAfterMs: undefined });
  });

  it("retries by name what may be repeated, and nothing that changes", () => {
    const names = serviceConfig.methodConfig[0]!.name.map(({ method }) => method);
    expect(names).toEqual(
      expect.arrayContaining(["SignSpan", "Status", "GetCheckpoint", "ListKeys", "ListAuditEvents"]),
    );
    for (const each of ["SignSpans", "Rotate", "Validate", "VerifyAudit", "DisableKey", "RewrapKeys"])
      expect(names).not.toContain(each);
  });
});
