/** Connections under a policy, which are closed at their greatest age, and lose nothing by it. */
import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { connect } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, it } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { bearer, bearerHeaders, type RunningService, startService } from "../support/running-service.ts";
import { tokenPolicy } from "../support/token-policy.ts";
import { frame } from "../support/raw-stream.ts";
import { virtualTime } from "../support/virtual-time.ts";

/** Each connection lives up to a tenth longer or shorter, so that not all come back at once; grpc's are looked at once a second. */
const [maxAgeMs, spreadMs, lookMs] = [600_000, 60_000, 1_000];

const time = virtualTime({ finished: afterAll });
const { tokens, files } = tokenPolicy({ all: { roles: ["sign", "status"] } });
let service: RunningService;
beforeAll(async () => {
  service = await startService({ "fluo.kms.connection.max-age": "10m" }, { files, time });
});
afterAll(() => service.stop());

it("an old connection of gRPC is told to go, and calls of a client that comes back all succeed", async () => {
  const raw = connect(`http://127.0.0.1:${service.grpcPort}`);
  await once(raw, "connect");
  let gone: number | undefined;
  raw.once("goaway", (code) => {
    gone = code;
  });
  const metadata = bearer(tokens.all);
  const { signSpan } = KmsService.method;
  const request = toBinary(signSpan.input, create(signSpan.input, { tenantId: "acme", span: plainSpan }));
  const call = async () => {
    await time.until(service.grpc.raw(signSpan, request, {}, metadata), lookMs);
  };
  // A connection on which nobody has called is closed long before.
  const first = raw.request({
    ":method": "POST",
    ":path": `/${KmsService.typeName}/SignSpan`,
    "content-type": "application/grpc",
    te: "trailers",
    ...bearerHeaders(tokens.all),
  });
  first.resume().end(frame(request));
  await once(first, "end");
  await call();
  await time.advance(maxAgeMs - spreadMs - lookMs);
  expect(gone).toBeUndefined();
  await call();
  await time.advance(2 * spreadMs + 2 * lookMs);
  expect(gone).toBe(0);
  await call();
  raw.close();
});

it("an old connection of HTTP ends behind its next answer", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async () => {
    const request = get({
      host: "127.0.0.1",
      port: service.httpPort,
      path: "/api/kms/whoami",
      agent,
      headers: bearerHeaders(tokens.all),
    });
    const [response] = (await time.until(once(request, "response"), lookMs)) as [IncomingMessage];
    response.resume();
    await once(response, "end");
    expect(response.statusCode).toBe(200);
    return response.headers.connection;
  };
  expect(await ask()).toBe("keep-alive");
  await time.advance(maxAgeMs - spreadMs - lookMs);
  expect(await ask()).toBe("keep-alive");
  await time.advance(2 * spreadMs + lookMs);
  expect(await ask()).toBe("close");
  expect(await ask()).toBe("keep-alive");
  agent.destroy();
});
