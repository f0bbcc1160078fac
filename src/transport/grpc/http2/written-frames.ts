/**
 * grpc-js copies each message behind a head and hands that to HTTP/2, which keeps it until it is sent. Then it is given back: as garbage it
 * lies outside the heap, and has the collector go through all of the heap several times a second.
 */
import type { ServerHttp2Stream } from "node:http2";
import { release } from "../../../runtime/detach.ts";

type Write = (frame: Uint8Array, sent: (error?: Error | null) => void) => boolean;

/** Whoever writes to `stream` from now on gives its bytes away. */
export function releaseWritten(stream: ServerHttp2Stream): void {
  const write = stream.write as Write;
  const writeAndRelease: Write = (frame, sent) =>
    write.call(stream, frame, (error) => {
      // Of a stream that was torn down, a part may be on its way still.
      if (!error && !stream.destroyed) release(frame);
      sent(error);
    });
  stream.write = writeAndRelease as ServerHttp2Stream["write"];
}
