/** Streams by Connect at their edges: JSON as strictly as in calls, frames and headers that are not known, and refusals in Connect's own form. */
import { brotliCompressSync, brotliDecompressSync, gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  SignSpansRequestSchema,
  SignSpansResponseSchema,
  type SignSpansRequest,
} from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { StreamHandler } from "../../../src/call/stream.ts";
import { KmsError } from "../../../src/errors.ts";
import { manualTime } from "../../../src/runtime/manual-time.ts";
import type { Time } from "../../../src/runtime/time.ts";
import { anyone, type Door } from "../../../src/transport/authenticate.ts";
import { peering } from "../../support/policy-door.ts";
import { frame, openRaw } from "../../support/raw-stream.ts";
import { startTransports, type Transports } from "../../support/transports-fixture.ts";

let service: Transports;
let taken: SignSpansRequest[] = [];
/** Says the tenant of each message back, as a checkpoint so many times as long. */
const answering: StreamHandler = () => ({
  async take(bytes) {
    const message = fromBinary(SignSpansRequestSchema, bytes);
    taken.push(message);
    const answer = create(SignSpansResponseSchema, { checkpoint: message.tenantId.repeat(200), batchDone: true });
    return { bytes: 0, messages: [toBinary(SignSpansResponseSchema, answer)] };
  },
});
beforeAll(async () => {
  service = await startTransports({}, { streams: { signSpans: answering } });
});
afterAll(() => service.stop());
beforeEach(() => {
  taken = [];
});

interface Answer {
  headers: Record<string, unknown>;
  frames: { flags: number; message: Buffer }[];
}

async function send(headers: Record<string, string>, body: Uint8Array, at = service.grpcAddress): Promise<Answer> {
  const { session, stream } = openRaw(at, { "content-type": "application/connect+json", ...headers });
  const response = new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
  stream.end(body);
  const bytes = Buffer.concat(await stream.toArray());
  session.close();
  const frames: Answer["frames"] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    frames.push({ flags: bytes[at]!, message: bytes.subarray(at + 5, end) });
    at = end;
  }
  return { headers: await response, frames };
}

const json = (value: unknown) => frame(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));
const endOf = ({ frames }: Answer) => JSON.parse(frames.at(-1)!.message.toString());

/** That it is told by the last frame, as the only one, in our words and with a detail, and logged once. */
async function refused(code: string, answer: Promise<Answer>): Promise<void> {
  const lines = service.logged.length;
  const given = await answer;
  expect(given.headers).toMatchObject({
    ":status": 200,
    "content-type": expect.stringMatching(/^application\/connect\+/),
  });
  expect(given.frames.map(({ flags }) => flags)).toEqual([2]);
  const { error } = endOf(given);
  expect([error.code, error.details[0].type]).toEqual([code, "google.rpc.ErrorInfo"]);
  const logged = service.logged.slice(lines).map((line) => JSON.parse(line));
  expect(logged).toMatchObject([{ method: "SignSpans", code: code.toUpperCase() }]);
}

describe("messages in JSON", () => {
  it("are read as those of calls are, by the proto's names too, and answered in JSON", async () => {
    const answer = await send({}, Buffer.concat([json({ tenantId: "a" }), json({ tenant_id: "b" })]));
    expect(taken.map(({ tenantId }) => tenantId)).toEqual(["a", "b"]);
    expect(answer.frames.map(({ flags }) => flags)).toEqual([0, 0, 2]);
    expect(JSON.parse(answer.frames[0]!.message.toString())).toEqual({ checkpoint: "a".repeat(200), batchDone: true });
    expect(endOf(answer)).toEqual({});
  });

  it("come to their handler in their order, however large", async () => {
    const spans = Array.from({ length: 300 }, () => ({ name: "n".repeat(90) }));
    const sizes = [300, 1, 250, 2, 200];
    const bodies = sizes.map((size, at) =>
      json({ tenantId: `t${at}`, resourceSpans: [{ scopeSpans: [{ spans: spans.slice(0, size) }] }] }),
    );
    await send({}, Buffer.concat(bodies));
    expect(
      taken.map(({ tenantId, resourceSpans }) => [tenantId, resourceSpans[0]!.scopeSpans[0]!.spans.length]),
    ).toEqual(sizes.map((size, at) => [`t${at}`, size]));
  });

  it.each<[string, Uint8Array]>([
    ["a member that is there twice", json('{"tenantId":"a","tenantId":"b"}')],
    ["a member that is not known", json({ tennantId: "a" })],
    ["a lone surrogate", json('{"tenantId":"\\ud800"}')],
    ["a value of another type", json({ tenantId: 7 })],
    ["text that is no JSON", json("{")],
    ["text that is not UTF-8", frame(Buffer.of(0x22, 0xff, 0x22))],
    ["nothing", frame(Buffer.of())],
    ["base64 that is none", json({ resourceSpans: [{ scopeSpans: [{ spans: [{ traceId: "!" }] }] }] })],
  ])("are refused for %s, and nothing of them reaches a handler", async (_what, body) => {
    await refused("invalid_argument", send({}, body));
    expect(taken).toEqual([]);
  });

  it("are answered up to the one that is refused", async () => {
    const answer = await send({}, Buffer.concat([json({ tenantId: "a" }), json("{"), json({ tenantId: "b" })]));
    expect(answer.frames.map(({ flags }) => flags)).toEqual([0, 2]);
    expect(endOf(answer).error.code).toBe("invalid_argument");
    expect(taken.map(({ tenantId }) => tenantId)).toEqual(["a"]);
  });
});

describe("frames", () => {
  const packed = (bytes: Uint8Array) => frame(bytes, bytes.length, 1);
  const text = Buffer.from('{"tenantId":"acme"}');

  it.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["gzip", gzipSync],
    ["br", brotliCompressSync],
  ])("may be compressed by %s, each for itself", async (encoding, compress) => {
    const body = Buffer.concat([packed(compress(text)), frame(text)]);
    await send({ "connect-content-encoding": encoding }, body);
    expect(taken.map(({ tenantId }) => tenantId)).toEqual(["acme", "acme"]);
  });

  it("of responses are compressed if the client accepts that and it is worth it", async () => {
    const accepting = { "connect-accept-encoding": "zstd, br" };
    const long = await send(accepting, json({ tenantId: "acme.long" }));
    expect([long.headers["connect-content-encoding"], long.frames[0]!.flags]).toEqual(["br", 1]);
    expect(JSON.parse(brotliDecompressSync(long.frames[0]!.message).toString()).batchDone).toBe(true);
    const short = await send(accepting, json({ tenantId: "a" }));
    expect(short.frames[0]!.flags).toBe(0);
  });

  it.each<[string, Uint8Array]>([
    ["the end of a stream, which is the server's to say", frame(Buffer.from("{}"), 2, 2)],
    ["flags that are not known", frame(text, text.length, 0x80)],
    ["a compressed message where no compression is named", packed(gzipSync(text))],
    ["a part of a message", frame(text, text.length + 1)],
  ])("are refused with %s", async (_what, body) => {
    await refused("invalid_argument", send({}, body));
    await refused("invalid_argument", send({ "content-type": "application/connect+proto" }, body));
    expect(taken).toEqual([]);
  });
});

describe("a request", () => {
  it.each<[string, string, Record<string, string>]>([
    ["a timeout that is none", "invalid_argument", { "connect-timeout-ms": "soon" }],
    ["another verb", "invalid_argument", { ":method": "PUT" }],
    ["an unknown compression", "unimplemented", { "connect-content-encoding": "zstd" }],
    ["the origin of a page", "permission_denied", { origin: "https://evil.example" }],
    ["the origin null", "permission_denied", { origin: "null" }],
  ])("is refused for %s, unread", async (_what, code, headers) => {
    await refused(code, send(headers, json({ tenantId: "a" })));
    expect(taken).toEqual([]);
  });

  it.each([
    "application/json",
    "application/proto",
    "application/grpc-web+proto",
    "application/connect+text",
    "application/connect",
  ])("of the media type %s is no stream", async (type) => {
    const { headers } = await send({ "content-type": type }, json({ tenantId: "a" }));
    expect(headers).toMatchObject({
      "content-type": "application/grpc",
      "grpc-status": expect.stringMatching(/^(3|12)$/),
    });
  });

  it.each(["Status", "SignSpan", "Nothing"])("for %s is no stream", async (rpc) => {
    const { headers } = await send({ ":path": `/fluo.kms.v1.KmsService/${rpc}` }, json({}));
    expect(headers).toMatchObject({ ":status": 415, "content-type": "application/grpc", "grpc-status": "3" });
  });
});

describe("at the door", () => {
  const doorOf = (enter: Door["enter"]): Door => ({
    connect: () => peering,
    enter,
    identify: enter,
    count() {},
    subscribe() {},
    policySha256: () => "",
    isOpen: () => false,
  });

  async function withDoor(door: Door, headers: Record<string, string> = {}, time?: Time): Promise<Answer> {
    const guarded = await startTransports({}, { streams: { signSpans: answering }, door, ...(time && { time }) });
    try {
      return await send(headers, json({ tenantId: "a" }), guarded.grpcAddress);
    } finally {
      await guarded.stop();
    }
  }

  it.each([
    ["UNAUTHENTICATED", "unauthenticated"],
    ["PERMISSION_DENIED", "permission_denied"],
    ["RATE_LIMITED", "resource_exhausted"],
  ] as const)("a caller is refused with %s in the form of Connect, at once or later", async (code, said) => {
    const refusal = () => {
      throw new KmsError(code, "refused");
    };
    for (const enter of [refusal, async () => refusal()]) {
      const answer = await withDoor(doorOf(enter));
      expect(answer.headers).toMatchObject({ ":status": 200, "content-type": "application/connect+json" });
      expect(endOf(answer).error).toMatchObject({ code: said, message: "refused" });
    }
    expect(taken).toEqual([]);
  });

  it("the time that a caller waits counts in what it gives", async () => {
    const time = manualTime();
    const door = doorOf(async () => {
      await time.advance(30);
      return anyone;
    });
    const answer = await withDoor(door, { "connect-timeout-ms": "1" }, time);
    expect(endOf(answer).error.code).toBe("deadline_exceeded");
    expect(taken).toEqual([]);
  });
});
