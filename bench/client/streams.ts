/** Bidirectional streams of SignSpans, so many at once. */
import { connectOpener } from "./connect-streams.ts";
import type { Exchange, StreamLoad } from "./load.ts";
import { connect, deserialize, serialize } from "./wire.ts";

/** Takes messages, and emits `data` with those of its answer, and `end` where it ended well, or `error`. */
export interface BidiStream {
  readonly writableEnded: boolean;
  write(message: Uint8Array): void;
  end(): void;
  on(event: "data", listener: (message: Buffer) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** A connection, on which streams are opened. */
export interface Opener {
  open(path: string): BidiStream;
  close(): void;
}

function grpcOpener(port: number): Opener {
  const client = connect(port);
  return {
    open: (path) => client.makeBidiStreamRequest(path, serialize, deserialize),
    close: () => client.close(),
  };
}

export function streamLoad(load: StreamLoad) {
  const opener = load.protocol === "gRPC" ? grpcOpener(load.port) : connectOpener(load.port);
  let turn = 0; // goes on in the next run: tenants may be more than streams
  async function run(): Promise<Exchange> {
    const end = turn + load.streams;
    let last: Exchange | undefined;
    const follow = async () => {
      while (turn < end) last = await runStream(load, opener, turn++);
    };
    await Promise.all(Array.from({ length: Math.min(load.atOnce, load.streams) }, follow));
    return last!;
  }
  return { run, close: opener.close };
}

/** The last batch, as it would be alone, and its answers. */
function runStream(load: StreamLoad, { open }: Opener, turn: number): Promise<Exchange> {
  const { path, bodies, openings, batchesEach, ahead } = load;
  const stream = open(path);
  let [sent, done] = [0, 0];
  let answers: Buffer[] = [];
  const body = (index: number) => bodies[(turn * batchesEach + index) % bodies.length]!;
  const opened = (index: number) => Buffer.concat([body(index), openings[turn % openings.length]!]);
  const send = () => {
    for (; sent < batchesEach && sent - done < ahead; sent += 1) stream.write(sent === 0 ? opened(sent) : body(sent));
    if (sent === batchesEach && !stream.writableEnded) stream.end();
  };
  return new Promise((resolve, reject) => {
    stream.on("data", (answer: Buffer) => {
      answers.push(answer);
      if (!isLast(answer)) return;
      done += 1;
      if (done < batchesEach) answers = [];
      send();
    });
    stream.on("error", reject);
    stream.on("end", () => {
      if (done === batchesEach) resolve({ request: opened(batchesEach - 1), answers });
      else reject(new Error(`the stream ended with ${done} of ${batchesEach} batches done`));
    });
    send();
  });
}

/**
 * Whether a SignSpansResponse has batch_done, without decoding it: the service writes fields by ascending number, and no request id (the
 * only field behind it) where the batch had none. In nothing that precedes can these two bytes be the end. Where the service
 * did otherwise, the count would not come out.
 */
function isLast(answer: Buffer): boolean {
  return answer.at(-2) === 0x18 && answer.at(-1) === 1;
}
