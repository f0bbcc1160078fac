/** Where a stream of bytes goes: a stream of Node's or of the Web's, or a function. */
import { finished, type Writable } from "node:stream";

/**
 * A `Writable` of Node's, such as a file or a response; a `WritableStream`; or a function that is given one piece after the other, and
 * awaited. None is ended or closed: that is for its owner, after the call.
 */
export type ByteSink = Writable | WritableStream<Uint8Array> | ((piece: Uint8Array) => void | Promise<void>);

/** Writes all pieces, each when the one before is taken. Rejects with the error of the pieces, or of the sink. */
export async function writeTo(sink: ByteSink, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  if (typeof sink === "function") for await (const piece of pieces) await sink(piece);
  else if ("getWriter" in sink) await writeToWeb(sink, pieces);
  else await writeToNode(sink, pieces);
}

async function writeToWeb(sink: WritableStream<Uint8Array>, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const writer = sink.getWriter();
  try {
    for await (const piece of pieces) await writer.write(piece);
  } finally {
    writer.releaseLock();
  }
}

async function writeToNode(sink: Writable, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  let failure: { error: unknown } | undefined;
  let failed = () => {};
  // A response whose connection closes calls back for nothing that was written, and emits no error.
  const forget = finished(sink, { readable: false }, (error) => {
    failure = { error: error ?? new Error("the stream was ended while it was written to") };
    failed();
  });
  const write = (piece: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      failed = () => reject(failure?.error);
      sink.write(piece, (error) => {
        if (error) failure ??= { error };
        if (error) reject(error);
        else resolve();
      });
    });
  try {
    for await (const piece of pieces) {
      if (failure !== undefined) throw failure.error;
      await write(piece);
    }
    if (failure !== undefined) throw failure.error;
  } finally {
    // The error event of a sink that failed is still to come, and must find a listener.
    if (failure === undefined) forget();
  }
}
