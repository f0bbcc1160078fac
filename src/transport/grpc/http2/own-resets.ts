/** Streams that the service resets, so that they are not taken for those that its clients do. */
import type { ServerHttp2Stream } from "node:http2";

/** A property, as a set of streams would cost the collector more than a call may. */
const own = Symbol("reset by the service");

type Marked = ServerHttp2Stream & { [own]?: true };

/** Closes a stream with a code of HTTP/2. */
export function resetStream(stream: ServerHttp2Stream, code: number): void {
  (stream as Marked)[own] = true;
  stream.close(code);
}

/** Whether the client closed a stream before it had its answer. */
export function isResetByClient(stream: ServerHttp2Stream): boolean {
  return stream.aborted && (stream as Marked)[own] !== true;
}
