import { once } from "node:events";
import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { releaseWritten } from "../../../../src/transport/grpc/http2/internals.ts";
import { destroySession } from "../../../support/destroy-session.ts";

const frameBytes = 300_000;
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A stream over a real connection, and the caller's end of it, which reads nothing by itself. */
async function pair() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  open.push(
    () => server.close(),
    () => destroySession(session),
  );
  const caller = session.request({ ":method": "POST" }, { endStream: false });
  const [stream] = (await once(server, "stream")) as [ServerHttp2Stream];
  stream.respond();
  return { stream, caller };
}

function frame(fill: number): Buffer {
  return Buffer.alloc(frameBytes, fill);
}

function write(stream: ServerHttp2Stream, bytes: Buffer): Promise<Error | null | undefined> {
  return new Promise((resolve) => stream.write(bytes, (error) => resolve(error)));
}

describe("releaseWritten", () => {
  it("gives back what was sent, once it was, and sends it as it was", async () => {
    const { stream, caller } = await pair();
    releaseWritten(stream);
    const frames = [frame(1), frame(2), frame(3)];
    const received: Buffer[] = [];
    caller.on("data", (chunk: Buffer) => received.push(chunk));
    for (const bytes of frames) {
      const sent = write(stream, bytes);
      expect(bytes).toHaveLength(frameBytes);
      expect(await sent).toBeFalsy();
      expect(bytes).toHaveLength(0);
    }
    stream.end();
    await once(caller, "end");
    expect(Buffer.concat(received).equals(Buffer.concat([frame(1), frame(2), frame(3)]))).toBe(true);
  });

  it("keeps memory that is not the frame's alone", async () => {
    const { stream, caller } = await pair();
    releaseWritten(stream);
    caller.resume();
    const shared = Buffer.alloc(2 * frameBytes, 7);
    await write(stream, shared.subarray(0, frameBytes));
    expect(shared).toHaveLength(2 * frameBytes);
  });

  it("keeps what a caller that left did not take", async () => {
    const { stream, caller } = await pair();
    releaseWritten(stream);
    stream.on("error", () => {});
    const bytes = frame(1);
    const written = write(stream, bytes);
    caller.on("error", () => {});
    caller.destroy();
    await written;
    expect(bytes).toHaveLength(frameBytes);
  });
});
