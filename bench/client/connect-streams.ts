/** Streams of Connect in binary over HTTP/2: frames, and nothing decoded. */
import { EventEmitter } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { frame } from "../../test/support/raw-stream.ts";
import type { BidiStream, Opener } from "./streams.ts";
import { windowBytes } from "./wire.ts";

const headBytes = 5;
const isEnd = 2;

export function connectOpener(port: number): Opener {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: windowBytes } });
  session.once("connect", () => session.setLocalWindowSize(windowBytes));
  return { open: (path) => openStream(session, path), close: () => session.close() };
}

function openStream(session: ClientHttp2Session, path: string): BidiStream {
  const headers = { ":method": "POST", ":path": path, "content-type": "application/connect+proto" };
  const stream = session.request(headers);
  const events = new EventEmitter();
  let chunks: Buffer[] = [];
  let held = 0;
  /** Bytes of the next frame with its head, as far as they are known. */
  let wanted = headBytes;

  stream.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    held += chunk.length;
    while (held >= wanted) {
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      const end = headBytes + bytes.readUInt32BE(1);
      chunks = [bytes];
      wanted = end;
      if (held < end) break;
      take(bytes[0]!, bytes.subarray(headBytes, end));
      chunks = [bytes.subarray(end)];
      held -= end;
      wanted = headBytes;
    }
  });
  stream.on("error", (error) => events.emit("error", error));

  function take(flags: number, message: Buffer): void {
    if ((flags & isEnd) === 0) events.emit("data", message);
    else if (message.toString() === "{}") events.emit("end");
    else events.emit("error", new Error(message.toString()));
  }

  return {
    get writableEnded() {
      return stream.writableEnded;
    },
    write: (message) => void stream.write(frame(message)),
    end: () => void stream.end(),
    on: (event: string, listener: (...given: never[]) => void) => events.on(event, listener as () => void),
  };
}
