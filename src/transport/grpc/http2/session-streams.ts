/** The streams of an HTTP/2 session, which node:http2 keeps in a Map and so, with all that belongs to their calls, for long after their end. */
import type { Http2Session, ServerHttp2Stream } from "node:http2";
import { ForgettingMap } from "../../../runtime/compact-map.ts";

interface State {
  streams: Pick<ForgettingMap<ServerHttp2Stream>, "size" | "get" | "set" | "delete" | "forEach">;
}

/** For a session that has no stream yet. One that is not made as in the pinned Node stays as it is: a test guards this. */
export function forgetEndedStreams(session: Http2Session): void {
  const state = stateOf(session);
  if (state?.streams.size === 0) state.streams = new ForgettingMap();
}

function stateOf(session: Http2Session): State | undefined {
  const hidden = session as unknown as Record<symbol, Partial<State> | undefined>;
  const values = Object.getOwnPropertySymbols(session).map((symbol) => hidden[symbol]);
  return values.find((value): value is State => value?.streams !== undefined);
}
