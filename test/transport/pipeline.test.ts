/** What happens to a call, in its order, whichever transport brings it. */
import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { GenerateDataKeyResponseSchema } from "../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { StatusResponseSchema } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import type { AuditObserver, Failure } from "../../src/audit/observer.ts";
import { KmsError } from "../../src/errors.ts";
import { anyone, type Door } from "../../src/transport/authenticate.ts";
import { peering } from "../support/policy-door.ts";
import { frame } from "../support/raw-stream.ts";
import { failureOf } from "../support/running-service.ts";
import { rawStream } from "../support/stream-fixture.ts";
import { startTransports, type Transports } from "../support/transports-fixture.ts";

let failures: [failure: Failure, code: unknown][];
let called: string[];
beforeEach(() => {
  failures = [];
  called = [];
});

const observer: AuditObserver = {
  check() {},
  used() {},
  failed: (failure, error) => failures.push([failure, (error as KmsError).code]),
};

/** A door by what it says of `authorization` headers. */
function doorOf(enter: (authorization: readonly string[]) => ReturnType<Door["enter"]>): Door {
  const ask: Door["enter"] = (_connection, authorization) => enter(authorization);
  const isOpen: Door["isOpen"] = (what) => what === "metrics";
  return {
    connect: () => peering,
    enter: ask,
    identify: ask,
    isOpen,
    policySha256: () => "",
    count() {},
    subscribe() {},
  };
}

async function start(door: Door, generateDataKey?: () => never): Promise<Transports> {
  const transports = await startTransports(
    {
      generateDataKey({ tenantId }, { caller }) {
        called.push(`generateDataKey by ${caller.name}`);
        generateDataKey?.();
        return create(GenerateDataKeyResponseSchema, { keyId: tenantId });
      },
      status(_request, { caller }) {
        called.push(`status by ${caller.name}`);
        return create(StatusResponseSchema);
      },
    },
    {
      door,
      observer,
      streams: {
        signSpans() {
          called.push("signSpans");
          return { take: () => Promise.reject(new KmsError("INTERNAL", "nothing is taken")) };
        },
      },
    },
  );
  onTestFinished(() => transports.stop());
  return transports;
}

const unreadable = Buffer.of(0x0a, 0xff);
const post = (url: string, type: string, body: Buffer | string) =>
  fetch(url, { method: "POST", headers: { "content-type": type }, body });

describe("a caller who is not known", () => {
  const refuse = doorOf(() => {
    throw new KmsError("UNAUTHENTICATED", "no credential");
  });
  const later = doorOf(async () => {
    throw new KmsError("UNAUTHENTICATED", "no credential");
  });

  it.each([
    ["at once", refuse],
    ["later", later],
  ])("is refused %s before anything of the request is decoded, and counted", async (_when, door) => {
    const { grpc: client, url, metrics } = await start(door);
    const path = `${url}/${KmsService.typeName}/GenerateDataKey`;
    expect(await failureOf(client.raw("generateDataKey", unreadable))).toMatchObject({
      code: grpc.status.UNAUTHENTICATED,
      message: expect.stringContaining("no credential"),
    });
    expect((await post(path, "application/proto", unreadable)).status).toBe(401);
    expect((await post(path, "application/json", "{")).status).toBe(401);
    expect((await post(`${url}/api/admin/kms/rotate`, "application/json", "{")).status).toBe(401);
    expect((await fetch(`${url}/api/kms/tenants/acme/log/tile/0/000`)).status).toBe(401);
    expect([called, failures]).toEqual([[], []]);
    const text = await metrics();
    expect(text).toContain('kms_errors_total{operation="GenerateDataKey",code="UNAUTHENTICATED"} 3');
    // No path but that of a rpc is looked for.
    expect(text).toContain('kms_errors_total{operation="unknown",code="UNAUTHENTICATED"} 2');
  });

  it("has no stream", async () => {
    const { grpcAddress, metrics } = await start(refuse);
    const { stream, status } = rawStream(grpcAddress, { ":path": `/${KmsService.typeName}/SignSpans` });
    stream.end(frame(unreadable));
    expect(await status()).toBe(grpc.status.UNAUTHENTICATED);
    expect(called).toEqual([]);
    expect(await metrics()).toContain('kms_errors_total{operation="SignSpans",code="UNAUTHENTICATED"} 1');
  });
});

describe("a caller who is known by a header", () => {
  const byHeader = doorOf(async ([name = "?"]) => ({ ...anyone, name }));

  it("is the caller of each call, though it takes a while to know it", async () => {
    const { grpcAddress, url } = await start(byHeader);
    const client = new grpc.Client(grpcAddress, grpc.credentials.createInsecure());
    onTestFinished(() => client.close());
    const metadata = new grpc.Metadata();
    metadata.set("authorization", "ann");
    const asIs = (bytes: Buffer) => bytes;
    const path = `/${KmsService.typeName}/GenerateDataKey`;
    await new Promise((resolve, reject) =>
      client.makeUnaryRequest(path, asIs, asIs, Buffer.of(), metadata, (error, answer) =>
        error ? reject(error) : resolve(answer),
      ),
    );
    const headers = { "content-type": "application/json", authorization: "bob" };
    expect((await fetch(`${url}${path}`, { method: "POST", headers, body: "{}" })).status).toBe(200);
    expect((await fetch(`${url}/api/admin/kms/status`, { headers: { authorization: "eve" } })).status).toBe(200);
    expect(called).toEqual(["generateDataKey by ann", "generateDataKey by bob", "status by eve"]);
  });
});

describe("a request", () => {
  const known = doorOf(() => anyone);

  it("that cannot be decoded is no refusal of its handler, and not audited", async () => {
    const { grpc: client, connect } = await start(known);
    expect(await failureOf(client.raw("generateDataKey", unreadable))).toMatchObject({ reason: "INVALID_ARGUMENT" });
    expect(await connect.generateDataKey({ tenantId: "acme" })).toMatchObject({ keyId: "acme" });
    expect(called).toEqual(["generateDataKey by anonymous"]);
    expect(failures).toEqual([]);
  });

  it("that its handler refuses is audited once, with what it names", async () => {
    const { grpc: client, connect } = await start(known, () => {
      throw new KmsError("NOT_FOUND", "no such key");
    });
    expect(await failureOf(client.generateDataKey({ tenantId: "acme" }))).toMatchObject({ reason: "NOT_FOUND" });
    await expect(connect.generateDataKey({ tenantId: "acme" })).rejects.toThrow("no such key");
    const failure = expect.objectContaining({ actor: "anonymous", action: "generate_data_key", tenantId: "acme" });
    expect(failures).toEqual([
      [failure, "NOT_FOUND"],
      [failure, "NOT_FOUND"],
    ]);
  });
});
