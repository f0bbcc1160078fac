import type { ClientHttp2Session } from "node:http2";
import { setImmediate } from "node:timers/promises";

/**
 * Destroys a client's session in a turn of the event loop of its own; resolves once that is done. Destroyed by what the end of an answer brings
 * on, Node before 26.13.1 frees a stream that nghttp2 still writes to. The process then dies by SIGSEGV, later and elsewhere.
 */
export async function destroySession(session: ClientHttp2Session): Promise<void> {
  await setImmediate();
  session.destroy();
}
