/** What a client's process can be told to do. Bodies are on the wire as they are here: nothing is encoded while it is measured. */

interface Bodies {
  port: number;
  path: string;
  /** Taken in turn, over and over. */
  bodies: readonly Uint8Array[];
}

/** How a client shows who it is, over TLS. */
export interface Credentials {
  /** PEM. */
  ca: string;
  certificate?: { chain: string; key: string };
  /** The header, sent with each call. */
  authorization?: string;
}

/** Calls over one connection. The next one begins when one of those before has its answer. */
export interface UnaryLoad extends Bodies {
  over: "unary";
  calls: number;
  atOnce: number;
  /** Without them there is no TLS. */
  credentials?: Credentials;
}

/** Streams over one connection. A stream sends its batches, and no more than `ahead` before their answers; the next one follows it. */
export interface StreamLoad extends Bodies {
  over: "streams";
  protocol: "gRPC" | "Connect";
  streams: number;
  atOnce: number;
  batchesEach: number;
  ahead: number;
  /** What the first batch of a stream has behind its body, by turns: see `opening`. */
  openings: readonly Uint8Array[];
}

/** POSTs over kept connections, one for each that is sent at once. */
export interface HttpLoad extends Bodies {
  over: "http";
  headers: Readonly<Record<string, string>>;
  calls: number;
  atOnce: number;
}

export type Load = UnaryLoad | StreamLoad | HttpLoad;

/** One that was measured, to be looked at afterwards. */
export interface Exchange {
  request: Uint8Array;
  /** Several messages of a stream may answer one. */
  answers: readonly Uint8Array[];
}

export interface Loaded {
  seconds: number;
  /** Microseconds of CPU that the client's process used. */
  clientMicros: number;
  last: Exchange;
}
