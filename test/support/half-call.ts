/** A call that is under way for as long as a test wants. */
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { onTestFinished } from "vitest";
import { destroySession } from "./destroy-session.ts";

/** A gRPC call of which the server has the head and not yet the whole message. */
export async function halfCall(
  target: string,
  path = "/fluo.kms.v1.KmsService/Status",
): Promise<{ session: ClientHttp2Session; stream: ClientHttp2Stream }> {
  const session = connect(`http://${target}`);
  onTestFinished(() => destroySession(session));
  session.on("error", () => {});
  await once(session, "connect");
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  if (stream.pending) await once(stream, "ready");
  // The first of the five bytes before the message. An answered ping means that what came before it was read.
  await new Promise((resolve) => stream.write(Uint8Array.of(0), resolve));
  await new Promise((resolve) => session.ping(resolve));
  return { session, stream };
}
