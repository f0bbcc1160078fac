/** Bidirectional streams of SignSpans, so many at once. */
import type * as grpc from "@grpc/grpc-js";
import type { Exchange, StreamLoad } from "./load.ts";
import { connect, deserialize, serialize } from "./wire.ts";

export function streamLoad(load: StreamLoad) {
  const client = connect(load.port);
  let turn = 0; // goes on in the next run: tenants may be more than streams
  async function run(): Promise<Exchange> {
    const end = turn + load.streams;
    let last: Exchange | undefined;
    const follow = async () => {
      while (turn < end) last = await runStream(load, client, turn++);
    };
    await Promise.all(Array.from({ length: Math.min(load.atOnce, load.streams) }, follow));
    return last!;
  }
  return { run, close: () => client.close() };
}

/** The last batch, as it would be alone, and its answers. */
function runStream(load: StreamLoad, client: grpc.Client, turn: number): Promise<Exchange> {
  const { path, bodies, openings, batchesEach, ahead } = load;
  const stream = client.makeBidiStreamRequest(path, serialize, deserialize);
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
