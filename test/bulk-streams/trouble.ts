/** Callers that do what none should. Each rejects where its stream ends otherwise than it must. */
import { once } from "node:events";
import * as grpc from "@grpc/grpc-js";
import { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { fromNow } from "../support/from-now.ts";
import { frame, openRaw } from "../support/raw-stream.ts";
import { openStream } from "../support/stream-client.ts";
import { encodedBatch } from "./batches.ts";
import { check } from "./steady.ts";
import { destroySession } from "../support/destroy-session.ts";

const { status } = grpc;
const batch = (count: number, mode: SignMode = SignMode.INDIVIDUAL) =>
  encodedBatch({ tenantId: "trouble", mode, requestId: "", count });

/** By the name of what they do. */
export const troubles: Readonly<Record<string, (target: string) => Promise<void>>> = {
  async vanish(target) {
    const { session, stream } = openRaw(target);
    stream.write(frame(batch(100)));
    stream.write(frame(batch(50), 1_000_000));
    await new Promise((resolve) => session.ping(resolve));
    session.socket.destroy();
    await once(session, "close");
  },

  "send garbage": async (target) => {
    const garbage: [Uint8Array, grpc.status][] = [
      [frame(new Uint8Array(10), 2 ** 32 - 1), status.RESOURCE_EXHAUSTED],
      [frame(Buffer.from("not a batch")), status.INVALID_ARGUMENT],
      [frame(batch(5).subarray(0, 300)), status.INVALID_ARGUMENT],
      [Buffer.from("\x02\x00"), status.INVALID_ARGUMENT],
    ];
    for (const [bytes, expected] of garbage) {
      const { session, stream, status: statusOf } = openRaw(target);
      stream.end(bytes);
      const got = await statusOf();
      check(got === expected, `garbage ends with ${got}, not ${expected}`);
      await destroySession(session);
    }
  },

  "send 100 empty batches": (target) =>
    withStream(target, async (stream) => {
      await stream.send({ tenantId: "trouble" });
      for (let n = 1; n < 100; n += 1) await stream.send({});
      stream.halfClose();
      const answers = await stream.rest();
      check(answers.length === 100 && answers.every(({ batchDone }) => batchDone), `${answers.length} of 100 answers`);
    }),

  "send 5 MiB": async (target) => {
    const { session, stream, status: statusOf } = openRaw(target);
    stream.write(frame(batch(10)));
    stream.write(frame(new Uint8Array(5 * 1024 * 1024)));
    const got = await statusOf();
    check(got === status.RESOURCE_EXHAUSTED, `5 MiB end with ${got}`);
    await destroySession(session);
  },

  "say the last early": (target) =>
    withStream(target, async (stream) => {
      for (const mode of [SignMode.LOG, SignMode.LOG, SignMode.LOG]) void stream.send(batch(200, mode));
      stream.halfClose();
      const answers = await stream.rest();
      const spans = answers.reduce((sum, { results }) => sum + results.length, 0);
      check(spans === 600, `${spans} of 600 spans were answered`);
    }),

  "cancel in the middle": (target) =>
    withStream(target, async (stream) => {
      for (let n = 0; n < 4; n += 1) void stream.send(batch(300));
      await stream.next();
      stream.cancel();
      const { code } = await stream.failure();
      check(code === status.CANCELLED, `a cancelled stream ends with ${code}`);
    }),

  "have no time": (target) =>
    withStream(
      target,
      async (stream) => {
        void stream.send(batch(1_000));
        const { code } = await stream.failure();
        check(code === status.DEADLINE_EXCEEDED, `a stream without time ends with ${code}`);
      },
      { deadline: fromNow(30) },
    ),
};

/** Has answers of some MB, which it does not read. */
export interface Hog {
  /** The code by which the service reset the stream; undefined while it did not. */
  code(): number | undefined;
  close(): Promise<void>;
}

export function hog(target: string): Hog {
  const { session, stream, reset } = openRaw(target);
  let code: number | undefined;
  reset.then((given) => {
    code = given;
  });
  stream.write(frame(batch(9_500, SignMode.LOG)));
  return { code: () => code, close: () => destroySession(session) };
}

async function withStream(
  target: string,
  use: (stream: ReturnType<typeof openStream>) => Promise<void>,
  options: Partial<grpc.CallOptions> = {},
): Promise<void> {
  const stream = openStream(target, options);
  try {
    await use(stream);
  } finally {
    stream.close();
  }
}
