import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { StatusResponseSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { createGather } from "../../../src/transport/grpc/run-after-parse.ts";
import { startTransports } from "../../support/transports-fixture.ts";

const limit = 64 * 1024;

describe("calls that came together", () => {
  /** What the time of a turn is measured by: the process may have to wait for a processor, which would end the turn. */
  let nowMs: number;
  beforeEach(() => {
    nowMs = 0;
    const now = vi.spyOn(performance, "now").mockImplementation(() => nowMs);
    onTestFinished(() => now.mockRestore());
  });

  it("run in their order, once what came with them was read", async () => {
    const [gather, ran] = [createGather(realTime), [] as string[]];
    gather("a", 100, () => ran.push("first"));
    await Promise.resolve();
    gather("a", 100, () => ran.push("second"));
    expect(ran).toEqual([]);
    await setImmediate();
    expect(ran).toEqual(["first", "second"]);
  });

  it("run once, and those that come meanwhile after them", async () => {
    const [gather, ran] = [createGather(realTime), [] as string[]];
    gather("a", 100, () => {
      ran.push("first");
      gather("a", 100, () => ran.push("later"));
    });
    gather("a", 100, () => ran.push("second"));
    await setImmediate();
    expect(ran).toEqual(["first", "second"]);
    await setImmediate();
    expect(ran).toEqual(["first", "second", "later"]);
    await setImmediate();
    expect(ran).toHaveLength(3);
  });

  it("do not wait past 64 KiB of requests", async () => {
    const [gather, ran] = [createGather(realTime), [] as string[]];
    gather("a", limit, () => ran.push("the limit"));
    expect(ran).toEqual([]);
    gather("a", 1, () => ran.push("a byte more"));
    expect(ran).toEqual(["the limit", "a byte more"]);
    gather("a", 1, () => ran.push("counted anew"));
    expect(ran).toHaveLength(2);
    await setImmediate();
    expect(ran.at(-1)).toBe("counted anew");
  });

  it("take turns by their connections, and keep their order there", async () => {
    const [gather, ran] = [createGather(realTime), [] as string[]];
    for (const name of ["a1", "a2", "a3"]) gather("a", 100, () => ran.push(name));
    for (const name of ["b1", "b2"]) gather("b", 100, () => ran.push(name));
    await setImmediate();
    expect(ran).toEqual(["a1", "b1", "a2", "b2", "a3"]);
  });

  it("leave what does not fit into a turn of the event loop to the next ones, also past 64 KiB", async () => {
    const [gather, ran] = [createGather(realTime), [] as string[]];
    const long = (name: string) => () => {
      nowMs += 10;
      ran.push(name);
    };
    for (const name of ["a1", "a2", "a3"]) gather("a", limit / 2, long(name));
    expect(ran).toEqual(["a1"]); // it was past the limit, and used up the turn
    gather("b", 100, long("b1"));
    for (const turn of [
      ["a1", "a2"],
      ["a1", "a2", "b1"],
      ["a1", "a2", "b1", "a3"],
    ]) {
      await setImmediate();
      expect(ran).toEqual(turn);
    }
  });
});

describe("calls that came together by a connection", () => {
  it("do not run where the caller took them back with the bytes that brought them", async () => {
    let ran = 0;
    const status = () => {
      ran += 1;
      return create(StatusResponseSchema);
    };
    const service = await startTransports({ status });
    const [host, port] = service.grpcAddress.split(":");
    const socket = connect(Number(port), host);
    const hello = [Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, Buffer.of())];
    socket.write(Buffer.concat([...hello, ...callOf(1), resetOf(1), ...callOf(3), ...callOf(5), resetOf(5)]));
    const counted = (code: string, times: number) =>
      `rpc_server_call_duration_seconds_count{rpc_method="Status",rpc_response_status_code="${code}"} ${times}`;
    await expect.poll(service.metrics).toContain(counted("CANCELLED", 2));
    await expect.poll(service.metrics).toContain(counted("OK", 1));
    expect(ran).toBe(1);
    socket.destroy();
    await service.stop();
  });
});

/** RFC 9113, 4.1. */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A whole Status call: HEADERS of literals that are not indexed (RFC 7541, 6.2.2), and DATA with an empty message, the stream's end. */
function callOf(stream: number): Buffer[] {
  const headers = {
    ":method": "POST",
    ":scheme": "http",
    ":path": `/${KmsService.typeName}/Status`,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
  };
  const text = (value: string) => Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);
  const block = Object.entries(headers).flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]);
  return [frame(1, 0x04, stream, Buffer.concat(block)), frame(0, 0x01, stream, Buffer.alloc(5))];
}

/** RST_STREAM with CANCEL. */
function resetOf(stream: number): Buffer {
  return frame(3, 0, stream, Buffer.of(0, 0, 0, 8));
}
