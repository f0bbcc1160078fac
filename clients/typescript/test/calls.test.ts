/** Calls over Connect and gRPC: errors, pages, tokens, and what a client refuses before it sends anything. */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type RunningService, startService } from "../../../test/support/running-service.ts";
import { tokenPolicy } from "../../../test/support/token-policy.ts";
import { createKms, detailsOf, type Kms, listKeys, listPublicKeys } from "../src/index.ts";
import { createGrpcKms, type GrpcKms } from "../src/node/grpc-kms.ts";
import { serviceConfig } from "../src/node/service-config.ts";
import { madeSpans } from "./made-spans.ts";

let service: RunningService;
let target: string;
let gRPC: GrpcKms;
let clients: Record<string, Kms>;
const token = () => policy.tokens.app!;
const policy = tokenPolicy({ app: { roles: ["generate-data-key", "status", "verify", "operate", "encrypt", "sign"] } });

beforeAll(async () => {
  service = await startService({}, { files: policy.files });
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
      reason: expect.any(String),
      fields: [{ field: "tenant_id", description: expect.any(String) }],
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
    const given = [policy.tokens.app!, "wrong", policy.tokens.app!];
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

describe.each(["gRPC", "Connect"])("interceptors over %s", (name) => {
  const opened = (interceptors: Interceptor[]) => {
    const kms =
      name === "gRPC"
        ? createGrpcKms({ target, insecure: true, token, interceptors })
        : createKms({ baseUrl: service.url, token, interceptors });
    onTestFinished(() => {
      if ("close" in kms) (kms as GrpcKms).close();
    });
    return kms;
  };

  it("see the request and the response, the first outermost", async () => {
    const seen: string[] = [];
    const named =
      (id: string): Interceptor =>
      (next) =>
      async (request) => {
        seen.push(`${id}: ${request.method.name} ${new URL(request.url).pathname}`);
        const response = await next(request);
        seen.push(`${id}: ${response.stream}`);
        return response;
      };
    await opened([named("outer"), named("inner")]).status({});
    const path = "/fluo.kms.v1.KmsService/Status";
    expect(seen).toEqual([`outer: Status ${path}`, `inner: Status ${path}`, "inner: false", "outer: false"]);
  });

  it("set headers", async () => {
    const showing: Interceptor = (next) => (request) => {
      request.header.set("authorization", `Bearer ${policy.tokens.app!}`);
      return next(request);
    };
    const tokenless =
      name === "gRPC"
        ? createGrpcKms({ target, insecure: true, interceptors: [showing] })
        : createKms({ baseUrl: service.url, interceptors: [showing] });
    await expect(tokenless.status({})).resolves.toBeDefined();
    if ("close" in tokenless) (tokenless as GrpcKms).close();
  });

  it("see errors with their details, and may replace them", async () => {
    const seen: unknown[] = [];
    const watching: Interceptor = (next) => async (request) => {
      try {
        return await next(request);
      } catch (error) {
        seen.push([ConnectError.from(error).code, detailsOf(error).fields.map(({ field }) => field)]);
        throw new ConnectError("replaced", Code.Aborted);
      }
    };
    const error = await failure(opened([watching]).generateDataKey({ tenantId: "NOT A TENANT" }));
    expect(ConnectError.from(error).code).toBe(Code.Aborted);
    expect(seen).toEqual([[Code.InvalidArgument, ["tenant_id"]]]);
  });
});

describe("interceptors over gRPC", () => {
  it("see the messages of a stream both ways", async () => {
    const seen: string[] = [];
    const watching: Interceptor = (next) => async (request) => {
      if (!request.stream) return next(request);
      const message = passing(request.message, (each) => seen.push(each.$typeName));
      const response = await next({ ...request, message });
      if (!response.stream) return response;
      return { ...response, message: passing(response.message, (each) => seen.push(each.$typeName)) };
    };
    const kms = createGrpcKms({ target, insecure: true, token, interceptors: [watching] });
    onTestFinished(() => kms.close());
    async function* one() {
      yield { tenantId: "intercepted", resourceSpans: [madeSpans(1)], requestId: "1" };
    }
    const error = await failure(Array.fromAsync(kms.signSpans(one())));
    expect(error).toBeUndefined();
    expect(seen).toEqual(["fluo.kms.v1.SignSpansRequest", "fluo.kms.v1.SignSpansResponse"]);
  });
});

async function* passing<T>(messages: AsyncIterable<T>, see: (message: T) => void) {
  for await (const each of messages) {
    see(each);
    yield each;
  }
}

describe("a client", () => {
  it("is closed at the end of the block that uses it", async () => {
    let kept: GrpcKms;
    {
      using kms = createGrpcKms({ target, insecure: true, token });
      await kms.status({});
      kept = kms;
    }
    await expect(kept.status({})).rejects.toMatchObject({ code: Code.Canceled, rawMessage: "the client is closed" });
  });

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
