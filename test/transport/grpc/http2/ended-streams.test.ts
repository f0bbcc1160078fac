import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { ForgettingMap } from "../../../../src/runtime/compact-map.ts";
import { forgetEndedStreams } from "../../../../src/transport/grpc/http2/internals.ts";
import { destroySession } from "../../../support/destroy-session.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function pair(): Promise<{ server: ServerHttp2Session; client: ClientHttp2Session }> {
  const listening = createServer().listen(0, "127.0.0.1");
  await once(listening, "listening");
  const session = once(listening, "session") as Promise<[ServerHttp2Session]>;
  const client = connect(`http://127.0.0.1:${(listening.address() as AddressInfo).port}`);
  open.push(
    () => listening.close(),
    () => destroySession(client),
  );
  const [server] = await session;
  return { server, client };
}

function streamsOf(session: ServerHttp2Session): unknown {
  const hidden = session as unknown as Record<symbol, { streams?: unknown } | undefined>;
  return Object.getOwnPropertySymbols(session)
    .map((symbol) => hidden[symbol]?.streams)
    .find((streams) => streams !== undefined);
}

async function request(server: ServerHttp2Session, client: ClientHttp2Session) {
  const arrived = once(server, "stream") as Promise<[ServerHttp2Stream]>;
  const caller = client.request({ ":method": "POST" }, { endStream: false });
  caller.on("error", () => {});
  const [stream] = await arrived;
  return { caller, stream };
}

describe("forgetEndedStreams", () => {
  it("has a session of this Node hold its streams while they are open, and no longer", async () => {
    const { server, client } = await pair();
    forgetEndedStreams(server);
    const held = streamsOf(server) as ForgettingMap<ServerHttp2Stream>;
    expect(held).toBeInstanceOf(ForgettingMap);
    const { caller, stream } = await request(server, client);
    expect(held.get(stream.id!)).toBe(stream);
    caller.resume().end();
    stream.respond();
    stream.end("answer");
    stream.resume();
    await once(stream, "close");
    expect(held.size).toBe(0);
  });

  it("leaves a session alone that has streams", async () => {
    const { server, client } = await pair();
    await request(server, client);
    const before = streamsOf(server);
    forgetEndedStreams(server);
    expect(streamsOf(server)).toBe(before);
  });

  it("has a session end its streams where it is destroyed, and wait for them where it is closed", async () => {
    for (const end of ["destroy", "close"] as const) {
      const { server, client } = await pair();
      forgetEndedStreams(server);
      const { caller, stream } = await request(server, client);
      stream.on("error", () => {});
      const closed = once(server, "close");
      server[end]();
      if (end === "close") {
        expect(stream.closed).toBe(false);
        caller.resume().end();
        stream.respond();
        stream.resume().end();
      }
      await closed;
      expect(stream.closed || stream.destroyed).toBe(true);
    }
  });
});
