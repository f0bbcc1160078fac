/** A process with one greedy client: so many calls a second whatever comes of them, or so many large ones always in flight. */
import { Agent } from "node:http";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";
import { answerQuestions } from "../child.ts";
import { type Caller, caller } from "../client/caller.ts";
import { post } from "../client/http.ts";
import { openLoop } from "../rotation/open-loop.ts";

export type Question = { begin: Greed } | { count: true } | { end: true };

export interface Greed {
  over: "grpc" | "http";
  port: number;
  token: string;
  path: string;
  body: Uint8Array;
  pace: { perSecond: number } | { inFlight: number };
}

export interface Told {
  /** Since it was asked to count. */
  seconds: number;
  answered: number;
  /** With RESOURCE_EXHAUSTED. */
  refused: number;
  /** Of these, those whose RetryInfo and `grpc-retry-pushback-ms` name the same wait. */
  refusedWithWait: number;
  /** The first of other failures. */
  failure: string | undefined;
}

let running: { count(): void; stop(): Promise<Told> } | undefined;

function begin(greed: Greed) {
  const client = greed.over === "grpc" ? caller(greed.port, greed.token) : httpCaller(greed);
  let [told, countedMs] = [nothingYet(), performance.now()];

  async function once(): Promise<void> {
    try {
      await client.call(greed.path, greed.body);
      told.answered += 1;
    } catch (error) {
      const { code, metadata } = error as Partial<grpc.ServiceError>;
      if (code === grpc.status.RESOURCE_EXHAUSTED && metadata !== undefined) {
        told.refused += 1;
        if (namesOneWait(metadata)) told.refusedWithWait += 1;
      } else told.failure ??= String(error);
    }
  }

  const { stop } = "perSecond" in greed.pace ? openLoop(greed.pace.perSecond, once) : inFlight(greed.pace, once);
  return {
    count() {
      [told, countedMs] = [nothingYet(), performance.now()];
    },
    async stop() {
      const seconds = (performance.now() - countedMs) / 1_000;
      const counted = { ...told, seconds };
      await stop();
      client.close();
      return counted;
    },
  };
}

function nothingYet(): Told {
  return { seconds: 0, answered: 0, refused: 0, refusedWithWait: 0, failure: undefined };
}

function inFlight({ inFlight: count }: { inFlight: number }, once: () => Promise<void>) {
  let isOver = false;
  const loops = Array.from({ length: count }, async () => {
    while (!isOver) await once();
  });
  return {
    async stop() {
      isOver = true;
      await Promise.all(loops);
    },
  };
}

/** On a connection for each that is in flight. */
function httpCaller({ port, token }: Greed): Caller {
  const agent = new Agent({ keepAlive: true });
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return {
    call: (path, body) => post({ port, path, headers }, agent, body),
    close: () => agent.destroy(),
  };
}

function namesOneWait(metadata: grpc.Metadata): boolean {
  const [encoded] = metadata.get("grpc-status-details-bin");
  if (!(encoded instanceof Buffer)) return false;
  const [retry] = fromBinary(StatusSchema, encoded).details.flatMap((any) => anyUnpack(any, RetryInfoSchema) ?? []);
  const pushback = metadata.get("grpc-retry-pushback-ms");
  return pushback.length === 1 && retry?.retryDelay !== undefined && durationMs(retry.retryDelay) === Number(pushback);
}

answerQuestions<Question>(
  async (question) => {
    if ("begin" in question) running = begin(question.begin);
    else if ("count" in question) running!.count();
    else return running!.stop();
    return undefined;
  },
  () => {},
);
