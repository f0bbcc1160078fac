/** A process with callers who make one reading call in a loop. Who is refused comes again after half a second, as RetryInfo says. */
import { setTimeout as delay } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { answerQuestions } from "../child.ts";
import { type Caller, caller } from "../client/caller.ts";

export type Question = { begin: { call: ReadCall; callers: number } } | { end: true };

/** Over gRPC; a tile over HTTP, where alone there are any. */
export type ReadCall = { port: number; path: string; request: Uint8Array } | { url: string };

export interface Read {
  answered: number;
  refused: number;
  /** The first of other failures. */
  failure: string | undefined;
}

const retryMs = 500;
let running: { stop(): Promise<Read> } | undefined;

/** Whether it was refused. */
async function fetched(url: string): Promise<boolean> {
  const answer = await fetch(url);
  await answer.arrayBuffer();
  if (!answer.ok && answer.status !== 429) throw new Error(`${url} answers ${answer.status}`);
  return !answer.ok;
}

async function called(client: Caller, path: string, request: Uint8Array): Promise<boolean> {
  try {
    await client.call(path, request);
    return false;
  } catch (error) {
    if ((error as grpc.ServiceError).code === grpc.status.RESOURCE_EXHAUSTED) return true;
    throw error;
  }
}

function begin({ call, callers }: Extract<Question, { begin: unknown }>["begin"]) {
  const read: Read = { answered: 0, refused: 0, failure: undefined };
  const clients: Caller[] =
    "url" in call ? [] : Array.from({ length: Math.ceil(callers / 8) }, () => caller(call.port));
  let isOver = false;
  async function loop(index: number): Promise<void> {
    const once = () =>
      "url" in call ? fetched(call.url) : called(clients[index % clients.length]!, call.path, call.request);
    while (!isOver) {
      try {
        const isRefused = await once();
        read[isRefused ? "refused" : "answered"] += 1;
        if (isRefused) await delay(retryMs);
      } catch (error) {
        read.failure ??= String(error);
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
