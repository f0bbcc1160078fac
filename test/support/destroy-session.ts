import type { ClientHttp2Session } from "node:http2";

/**
 * Destroys a client's session in a turn of the event loop of its own; resolves when it has. Before 26.13.1, Node frees a stream that nghttp2 goes on to use
 * if its session is destroyed by what an answer brings on: a test that ended with the answer left a process which died in another test, by SIGSEGV.
 */
export function destroySession(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve) =>
    setImmediate(() => {
      session.destroy();
      resolve();
    }),
  );
}
