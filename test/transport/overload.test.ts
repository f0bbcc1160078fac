/** A service that holds as many bytes of requests as it may. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { afterEach, expect, it } from "vitest";
import { EncryptPiiResponseSchema } from "../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { GetPublicKeysResponseSchema } from "../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import { RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { postRpc } from "../support/api-fixture.ts";
import { failureOf } from "../support/running-service.ts";
import { startTransports, type Transports } from "../support/transports-fixture.ts";

let service: Transports | undefined;
afterEach(() => service?.stop());

const limit = 100_000;
const request = (bytes: number) => ({ tenantId: "acme", fields: [{ name: "n", value: Buffer.alloc(bytes) }] });

/** A service whose EncryptPii answers when the test says so. */
async function start() {
  const gate = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  const started = await startTransports(
    {
      async encryptPii() {
        entered.resolve();
        await gate.promise;
        return create(EncryptPiiResponseSchema);
      },
      getPublicKeys: () => create(GetPublicKeysResponseSchema),
    },
    { budgetBytes: limit },
  );
  service = started;
  return { ...started, open: gate.resolve, entered: entered.promise };
}

async function connectError(call: Promise<unknown>): Promise<ConnectError> {
  return ConnectError.from(
    await call.then(
      () => new Error("succeeded"),
      (error) => error,
    ),
  );
}

it("answers RESOURCE_EXHAUSTED with RetryInfo on gRPC, and serves again when there is room", async () => {
  const { grpc: client, open, entered } = await start();
  const held = client.encryptPii(request(60_000));
  await entered;
  expect(await failureOf(client.encryptPii(request(60_000)))).toMatchObject({
    code: grpc.status.RESOURCE_EXHAUSTED,
    reason: "OVERLOADED",
    retry: true,
  });
  expect((await client.getPublicKeys({ tenantId: "acme" })).keys).toEqual([]);
  open();
  await held;
  await client.encryptPii(request(60_000));
});

it("answers the same over Connect and gRPC-Web, with a declared length and without, and counts it", async () => {
  const { connect, grpcWeb, url, grpc: client, open, entered, metrics } = await start();
  const held = client.encryptPii(request(60_000));
  await entered;
  for (const other of [connect, grpcWeb]) {
    const error = await connectError(other.encryptPii(request(60_000)));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
    expect((await other.getPublicKeys({ tenantId: "acme" })).keys).toEqual([]);
  }
  const answer = await postRpc(url, "EncryptPii", Buffer.alloc(60_000, " "));
  expect(answer).toMatchObject({ status: 429, body: { code: "resource_exhausted" } });
  expect(await metrics()).toMatch(/kms_errors_total\{operation="EncryptPii",code="RESOURCE_EXHAUSTED"\} 3/);
  open();
  await held;
  await connect.encryptPii(request(60_000));
});

it("counts requests of both transports together, and forgets what was answered", async () => {
  const { connect, grpc: client, open, entered, budget } = await start();
  const held = connect.encryptPii(request(60_000));
  await entered;
  expect((await failureOf(client.encryptPii(request(60_000)))).reason).toBe("OVERLOADED");
  open();
  await held;
  for (let round = 0; round < 20; round += 1) {
    await client.encryptPii(request(60_000));
    await connect.encryptPii(request(60_000));
  }
  expect(budget.calls()).toBeLessThanOrEqual(1);
});
