/** `sign` with services that are not as ours is now: an older one, one that turns a stream away, one that breaks it off. */
import * as grpc from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { attribute, signedResult as result, type Stream, spanService as service } from "../../support/span-service.ts";

it("fails clearly where the service signs and gives no attributes", async () => {
  const { sign } = await service((stream, { requestId }) => stream.write(result(requestId, [])));
  const { code, out, err } = await sign();
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/^fluo-kms: the service signs, but gives no attributes: it is older than this command.*\n$/);
});

it.each([
  ["UNAVAILABLE", (stream: Stream) => stream.emit("error", { code: grpc.status.UNAVAILABLE, details: "draining" })],
  ["ABORTED", (stream: Stream) => stream.emit("error", { code: grpc.status.ABORTED, details: "others were first" })],
  [
    "RESOURCE_EXHAUSTED",
    (stream: Stream) => stream.emit("error", { code: grpc.status.RESOURCE_EXHAUSTED, details: "" }),
  ],
  ["without an answer", (stream: Stream) => stream.end()],
])("sends a batch again, as it was, over a stream of its own where one ends with %s", async (said, end) => {
  const { requests, sign } = await service((stream, { requestId }, before) => {
    if (before === 0) end(stream);
    else stream.write(result(requestId, [attribute]));
  });
  const { code, out, err } = await sign();
  expect(code).toBe(0);
  expect(out).toContain('"audit.integrity.tenant"');
  expect(err).toMatch(
    new RegExp(`^fluo-kms: the stream .*${said}.*; 1 batch goes over a new stream in 0.25 s\n1 of 1 signed`),
  );
  expect(requests).toHaveLength(2);
  expect(requests[0]).toEqual(requests[1]);
  expect(requests[0]).toMatchObject({
    tenantId: "acme",
    withAttributes: true,
    requestId: expect.stringMatching(/^[0-9a-f-]{36}\.0$/),
  });
});

it("names the run where a log's first stream broke, and the next was refused", async () => {
  const { requests, sign } = await service((stream, _, before) => {
    const code = before === 0 ? grpc.status.UNAVAILABLE : grpc.status.PERMISSION_DENIED;
    stream.emit("error", { code, details: "not now" });
  });
  const { code, err } = await sign("--mode", "log");
  expect(code).toBe(1);
  const run = requests[0]!.requestId.replace(/\.0$/, "");
  expect(err).toContain(`fluo-kms: PERMISSION_DENIED: not now\nfluo-kms: 0 spans are in the log, and more may be`);
  expect(err).toContain(`--resume ${run} goes on with them`);
});
