/** Tokens that fail, by the hundred, from the address of callers that are good. */
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type AllCredentials, startAllCredentials } from "../support/all-credentials-service.ts";
import { bearer, type GrpcClient } from "../support/running-service.ts";
import { testKey, tokenBy } from "../support/signed-tokens.ts";

let service: AllCredentials;
let client: GrpcClient;
beforeAll(async () => {
  // A thousand refusals cost more than the second of CPU that strangers have in 10 s, unless they take long.
  service = await startAllCredentials({ "fluo.kms.limit.failures": "1" }, { headerWorkMs: 10_000 });
  client = service.client();
});
afterAll(async () => {
  client.close();
  await service.stop();
});

const stranger = testKey("ES256", "a");

/** The status of a call with a token, and the pushback of an error. */
async function called(token: string) {
  return client.raw("status", new Uint8Array(), {}, bearer(token)).then(
    () => ({ code: grpc.status.OK, pushback: undefined }),
    ({ code, metadata }: grpc.ServiceError) => ({ code, pushback: metadata.get("grpc-retry-pushback-ms")[0] }),
  );
}

/** So many tokens that are bad, in turns of 50. */
async function manyFailures(count: number, badToken: (n: number) => string, between: () => Promise<unknown>) {
  const codes = new Map<grpc.status, number>();
  let pushback: unknown;
  for (let n = 0; n < count; n += 50) {
    const some = Array.from({ length: 50 }, (_, more) => called(badToken(n + more)));
    await between();
    for (const answer of await Promise.all(some)) {
      codes.set(answer.code, (codes.get(answer.code) ?? 0) + 1);
      pushback ??= answer.pushback;
    }
  }
  return { codes, pushback };
}

it("1,000 bad tokens fail no static token, no certificate and no token that was verified", async () => {
  const { jwt, certificate, token } = service.shown;
  await service.status({ token: jwt }); // it is verified once
  const payload = JSON.parse(Buffer.from(jwt.split(".")[1]!, "base64url").toString());
  const bad = (n: number) => tokenBy(stranger, { ...payload, jti: n });
  const { codes, pushback } = await manyFailures(1_000, bad, async () => {
    await Promise.all([service.status({ token: jwt }), service.status({ certificate }), service.status({ token })]);
    expect((await service.get("/q/health/ready")).status).toBe(200);
    expect((await service.get("/api/kms/whoami", { token })).status).toBe(200);
  });
  expect(new Set(codes.keys())).toEqual(new Set([grpc.status.UNAUTHENTICATED, grpc.status.RESOURCE_EXHAUSTED]));
  expect(Number(pushback)).toBeGreaterThan(0);
  expect(Number(pushback)).toBeLessThanOrEqual(1_000);
  let answer = await service.get("/api/kms/whoami", { token: bad(1_000) });
  for (let n = 1_001; answer.status === 401; n += 1) answer = await service.get("/api/kms/whoami", { token: bad(n) });
  expect([answer.status, answer.headers["retry-after"]]).toEqual([429, "1"]);
});
