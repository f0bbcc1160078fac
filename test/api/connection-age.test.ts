/** Connections under a policy, which are closed at their greatest age, and lose nothing by it. */
import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { connect } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, it } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { plainSpan } from "../support/api-fixture.ts";
import {
  bearer,
  bearerHeaders,
  type PolicyService,
  startPolicyService,
  tokenPolicy,
} from "../support/policy-service.ts";

let service: PolicyService;
beforeAll(async () => {
  const policy = tokenPolicy({ all: { roles: ["sign", "status"] } });
  service = await startPolicyService(policy, { "fluo.kms.connection.max-age": "1s" });
});
afterAll(() => service.stop());

it("an old connection of gRPC is told to go, and calls of a client that comes back all succeed", async () => {
  const raw = connect(`http://127.0.0.1:${service.grpcPort}`);
  let gone: number | undefined;
  raw.once("goaway", (code) => {
    gone = code;
  });
  const metadata = bearer(service.tokens.all);
  const { signSpan } = KmsService.method;
  const request = toBinary(signSpan.input, create(signSpan.input, { tenantId: "acme", span: plainSpan }));
  while (gone === undefined) await service.grpc.raw(signSpan, request, {}, metadata);
  expect(gone).toBe(0);
  raw.close();
});

it("an old connection of HTTP ends behind its next answer", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async () => {
    const request = get({
      ...{ host: "127.0.0.1", port: service.httpPort, path: "/api/kms/whoami", agent },
      headers: bearerHeaders(service.tokens.all),
    });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
    expect(response.statusCode).toBe(200);
    return response.headers.connection;
  };
  // A machine that is busy for a second finds the first one old.
  while ((await ask()) !== "keep-alive");
  while ((await ask()) !== "close");
  agent.destroy();
});
