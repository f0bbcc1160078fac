/** Streams and calls whose caller is found out late: nothing of what they bring is lost, read or run before. */
import { constants } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { GenerateDataKeyResponseSchema } from "../../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import type { Caller } from "../../../src/call/context.ts";
import { KmsError } from "../../../src/errors.ts";
import { anyone, type Door } from "../../../src/transport/authenticate.ts";
import { maxHeldBytes } from "../../../src/transport/grpc/door.ts";
import { maxConcurrentStreams } from "../../../src/transport/grpc/server.ts";
import { fromNow } from "../../support/from-now.ts";
import { peering } from "../../support/policy-door.ts";
import { frame } from "../../support/raw-stream.ts";
import { failureOf } from "../../support/running-service.ts";
import { echo, rawStream, startStreams, startStreamsBy } from "../../support/stream-fixture.ts";
import { streamProtocols } from "../../support/stream-protocols.ts";
import { startTransports } from "../../support/transports-fixture.ts";
import { destroySession } from "../../support/destroy-session.ts";

/** A door at which each caller waits for what the test says. */
function doorOf(enter: () => Promise<Caller>): Door {
  return {
    connect: () => peering,
    enter,
    identify: enter,
    count() {},
    subscribe() {},
    policySha256: () => "",
    isOpen: (what) => what === "metrics",
  };
}

const stranger = () => new KmsError("UNAUTHENTICATED", "the token is not accepted");
const path = "/fluo.kms.v1.KmsService/SignSpans";

async function texts(stream: { next(): Promise<Uint8Array | undefined> }): Promise<string[]> {
  const all: string[] = [];
  for (let each = await stream.next(); each; each = await stream.next()) all.push(Buffer.from(each).toString());
  return all;
}

describe.each(streamProtocols)("a stream of messages by $name", (protocol) => {
  it.each([
    [0, false],
    [1, false],
    [50, false],
    [500, false],
    [50, true],
  ])("is answered whole, though its caller is known after %i ms (compressed: %s)", async (ms, compressed) => {
    const { open } = await startStreamsBy(protocol, echo, { door: doorOf(() => delay(ms, anyone)) });
    const stream = open({ compressed });
    for (const each of ["a", "b", "c", "d", "e"]) await stream.send(Buffer.from(each));
    await delay(ms + 20);
    await stream.send(Buffer.from("f"));
    stream.halfClose();
    expect(await texts(stream)).toEqual(["a", "b", "c", "d", "e", "f"]);
  });

  it("is answered whole, though all of it came before its caller was known", async () => {
    const known = Promise.withResolvers<Caller>();
    const taken: string[] = [];
    const noting = () => ({
      async take(message: Uint8Array) {
        taken.push(Buffer.from(message).toString());
        return { bytes: 0, messages: [] };
      },
    });
    const { raw } = await startStreamsBy(protocol, noting, { door: doorOf(() => known.promise) });
    const { stream, status } = raw();
    stream.end(Buffer.concat(["a", "b"].map((each) => frame(Buffer.from(each)))));
    await new Promise((resolve) => stream.session!.ping(() => resolve(undefined)));
    known.resolve(anyone);
    expect(await status()).toBe(grpc.status.OK);
    expect(taken).toEqual(["a", "b"]);
  });

  it("is refused late, and none of it taken", async () => {
    let taken = 0;
    const counting = () => ({
      async take() {
        taken += 1;
        return { bytes: 0, messages: [] };
      },
    });
    const door = doorOf(() => delay(20).then(() => Promise.reject(stranger())));
    const { raw, metrics } = await startStreamsBy(protocol, counting, { door });
    const { stream, status } = raw();
    stream.write(Buffer.concat(Array.from({ length: 20 }, () => frame(Buffer.alloc(1_000)))));
    expect(await status()).toBe(grpc.status.UNAUTHENTICATED);
    expect(taken).toBe(0);
    expect(await metrics()).toContain('kms_errors_total{operation="SignSpans",code="UNAUTHENTICATED"} 1');
  });

  it("that leaves before its caller is known is nothing", async () => {
    const known = Promise.withResolvers<Caller>();
    const { raw, open } = await startStreamsBy(protocol, echo, { door: doorOf(() => known.promise) });
    for (const code of [constants.NGHTTP2_CANCEL, constants.NGHTTP2_INTERNAL_ERROR]) {
      const { stream } = raw();
      stream.on("error", () => {});
      stream.write(frame(Buffer.from("a")));
      await new Promise((resolve) => stream.session!.ping(() => resolve(undefined)));
      stream.close(code);
    }
    known.resolve(anyone);
    const next = open();
    await next.send(Buffer.from("b"));
    next.halfClose();
    expect(await texts(next)).toEqual(["b"]);
  });
});

describe("calls whose callers are not known yet", () => {
  it("hold a bounded memory together: what is beyond is told to wait", async () => {
    const known = Promise.withResolvers<Caller>();
    const counted: (string | undefined)[] = [];
    const count: Door["count"] = (_connection, _authorization, refused) => void counted.push(refused?.code);
    const { grpcAddress } = await startStreams(echo, { door: { ...doorOf(() => known.promise), count } });
    const each = 60_000;
    const raws = Array.from({ length: Math.ceil(maxHeldBytes / each) + 5 }, (_, at) => at);
    const sessions = Array.from({ length: Math.ceil(raws.length / 90) }, () =>
      rawStream(grpcAddress, { ":path": path }),
    );
    onTestFinished(async () => {
      for (const { session } of sessions) await destroySession(session);
    });
    const statuses = raws.map((at) => {
      const { session } = sessions[at % sessions.length]!;
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.on("error", () => {});
      stream.write(Buffer.alloc(each));
      const { promise, resolve } = Promise.withResolvers<unknown>();
      stream.on("response", (headers) => resolve(headers["grpc-status"]));
      stream.on("close", () => resolve("closed"));
      return promise;
    });
    expect(await Promise.race(statuses)).toBe(String(grpc.status.RESOURCE_EXHAUSTED));
    expect(new Set(counted)).toEqual(new Set(["RATE_LIMITED"]));
  });

  it("have the time of their callers run meanwhile", async () => {
    const asked: number[] = [];
    const transports = await startTransports(
      {
        generateDataKey(_request, { signal }) {
          asked.push(signal.aborted ? 1 : 0);
          return create(GenerateDataKeyResponseSchema);
        },
      },
      { door: doorOf(() => delay(200, anyone)) },
    );
    onTestFinished(() => transports.stop());
    const late = transports.grpc.generateDataKey({ tenantId: "acme" }, { deadline: fromNow(50) });
    expect((await failureOf(late)).code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await transports.grpc.generateDataKey({ tenantId: "acme" }, { deadline: fromNow(60_000) });
    expect(asked).toEqual([0]);
  });

  it("are refused with their request of 4 MB unread", async () => {
    const transports = await startTransports(
      {},
      { door: doorOf(() => delay(20).then(() => Promise.reject(stranger()))) },
    );
    onTestFinished(() => transports.stop());
    const refused = transports.grpc.raw("generateDataKey", Buffer.alloc(4_000_000));
    expect(await failureOf(refused)).toMatchObject({
      code: grpc.status.UNAUTHENTICATED,
      message: expect.stringContaining("the token is not accepted"),
    });
  });

  it.each([
    ["at once", async () => anyone],
    ["late", () => delay(1, anyone)],
    ["when refused", () => Promise.reject(stranger())],
  ])("end alone, and not the process, where something breaks %s", async (_, enter) => {
    const count = () => {
      throw new Error("a bug");
    };
    const transports = await startTransports({}, { door: { ...doorOf(enter), count } });
    onTestFinished(() => transports.stop());
    for (const _ of "ab") {
      const refused = transports.grpc.raw("generateDataKey", Buffer.alloc(100));
      expect(await failureOf(refused)).toMatchObject({ code: grpc.status.INTERNAL });
    }
  });

  it.each([
    ["at once", () => Promise.reject(stranger())],
    ["late", () => delay(1).then(() => Promise.reject(stranger()))],
    [
      "without a look",
      (): never => {
        throw stranger();
      },
    ],
  ])("are refused %s on one connection more often than it may have calls open", async (_, enter) => {
    const transports = await startTransports({}, { door: doorOf(enter) });
    onTestFinished(() => transports.stop());
    for (let times = 0; times < 3 * maxConcurrentStreams; times += 10) {
      const refused = Array.from({ length: 10 }, () =>
        failureOf(transports.grpc.raw("generateDataKey", Buffer.alloc(100))),
      );
      for (const { code } of await Promise.all(refused)) expect(code).toBe(grpc.status.UNAUTHENTICATED);
    }
  });
});
