/** A process with callers who make one reading call in a loop. Who is refused comes again after half a second, as RetryInfo says. */
import { setTimeout as delay } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { answerQuestions } from "../child.ts";
import { type Caller, caller } from "../client/caller.ts";

export type Question = { begin: { port: number; path: string; request: Uint8Array; callers: number } } | { end: true };

export interface Read {
  answered: number;
  refused: number;
  /** Of other failures, the first. */
  failure: string | undefined;
}

const retryMs = 500;
let running: { stop(): Promise<Read> } | undefined;

function begin({ port, path, request, callers }: Extract<Question, { begin: unknown }>["begin"]) {
  const read: Read = { answered: 0, refused: 0, failure: undefined };
  const clients: Caller[] = Array.from({ length: Math.ceil(callers / 8) }, () => caller(port));
  let isOver = false;
  async function loop(index: number): Promise<void> {
    const client = clients[index % clients.length]!;
    while (!isOver) {
      try {
        await client.call(path, request);
        read.answered += 1;
      } catch (error) {
        if ((error as grpc.ServiceError).code === grpc.status.RESOURCE_EXHAUSTED) read.refused += 1;
        else read.failure ??= String(error);
        await delay(retryMs);
      }
    }
  }
  const loops = Array.from({ length: callers }, (_, index) => loop(index));
  return {
    async stop() {
      isOver = true;
      await Promise.all(loops);
      for (const client of clients) client.close();
      return read;
    },
  };
}

answerQuestions<Question>(
  async (question) => {
    if ("begin" in question) {
      running = begin(question.begin);
      return undefined;
    }
    return running!.stop();
  },
  () => {},
);
