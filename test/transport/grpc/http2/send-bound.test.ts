/** Answers that nobody reads: what they hold is bounded, and whoever leaves them unread loses them. */
import { constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { expect, it, onTestFinished } from "vitest";
import { KmsService } from "../../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { EncryptPiiRequestSchema, EncryptPiiResponseSchema } from "../../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { manualTime } from "../../../../src/runtime/manual-time.ts";
import { frame } from "../../../support/raw-stream.ts";
import { failureOf } from "../../../support/running-service.ts";
import { startTransports } from "../../../support/transports-fixture.ts";
import { rawStream } from "../../../support/stream-fixture.ts";
import { destroySession } from "../../../support/destroy-session.ts";

const answerBytes = 300_000;

/** Answers as long as the request's tenant says. */
async function start(unread: { bytes: number; patienceMs: number }) {
  let answered = 0;
  const handlers = {
    encryptPii({ tenantId }: { tenantId: string }) {
      answered += 1;
      return create(EncryptPiiResponseSchema, { fields: [{ token: "t".repeat(Number(tenantId)) }] });
    },
  };
  const time = manualTime();
  const transports = await startTransports(handlers, { unread, time });
  onTestFinished(() => transports.stop());
  const call = (length: number) => transports.grpc.encryptPii({ tenantId: String(length) });
  /** Calls until it is answered. */
  const served = () => expect.poll(() => call(answerBytes).then(() => "served", String)).toBe("served");
  async function callUnread(length: number) {
    const raw = rawStream(transports.grpcAddress, { ":path": `/${KmsService.typeName}/EncryptPii` });
    const before = answered;
    raw.stream.end(
      frame(toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, { tenantId: String(length) }))),
    );
    await expect.poll(() => answered).toBeGreaterThan(before);
    return raw;
  }
  return { ...transports, time, call, served, callUnread };
}

it("find room as long as they are read, however many they are", async () => {
  const { call } = await start({ bytes: 1_000_000, patienceMs: 60_000 });
  for (let each = 0; each < 20; each += 1) expect((await call(answerBytes)).fields[0]!.token).toHaveLength(answerBytes);
  await Promise.all([1, 2, 3].map(() => call(answerBytes)));
});

it("are OVERLOADED where there is no room, unless they are small, and find it again when a caller leaves", async () => {
  const { call, served, callUnread, metrics } = await start({ bytes: 1_000_000, patienceMs: 60_000 });
  const unread = [await callUnread(answerBytes), await callUnread(answerBytes), await callUnread(answerBytes)];
  expect(await failureOf(call(answerBytes))).toMatchObject({
    code: grpc.status.RESOURCE_EXHAUSTED,
    reason: "OVERLOADED",
    retry: true,
  });
  expect(await metrics()).toMatch(/kms_errors_total\{operation="EncryptPii",code="RESOURCE_EXHAUSTED"\} 1/);
  await call(16_000);
  await call(90_000);
  await destroySession(unread[1]!.session);
  await served();
  unread[0]!.stream.resume();
  expect(await unread[0]!.status()).toBe(grpc.status.OK);
});

it("are dropped where others need their room and they were left unread for a while, the oldest first", async () => {
  const { served, callUnread, time } = await start({ bytes: 700_000, patienceMs: 300 });
  const [oldest, other] = [await callUnread(answerBytes), await callUnread(answerBytes)];
  await time.advance(300);
  for (let each = 0; each < 5; each += 1) await served();
  oldest.stream.resume();
  expect(await oldest.reset).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  expect(await other.status()).toBe(grpc.status.OK);
});
