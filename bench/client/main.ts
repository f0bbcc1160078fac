/** The client's process: takes loads, and runs one of them at a time. */
import { answerQuestions, cpuMicros } from "../child.ts";
import { httpLoad } from "./http.ts";
import type { Exchange, Load, Loaded } from "./load.ts";
import { streamLoad } from "./streams.ts";
import { unaryLoad } from "./unary.ts";

export type Question = { prepare: Load } | { run: number };

interface Runnable {
  run(): Promise<Exchange>;
  close(): void;
}

const loads: Runnable[] = [];

answerQuestions<Question>(
  async (question) =>
    "prepare" in question ? loads.push(runnable(question.prepare)) - 1 : timed(loads[question.run]!),
  () => {
    for (const { close } of loads) close();
  },
);

function runnable(load: Load): Runnable {
  if (load.over === "unary") return unaryLoad(load);
  if (load.over === "streams") return streamLoad(load);
  return httpLoad(load);
}

async function timed({ run }: Runnable): Promise<Loaded> {
  const [startedMs, before] = [performance.now(), cpuMicros()];
  const last = await run();
  return { seconds: (performance.now() - startedMs) / 1000, clientMicros: cpuMicros() - before, last };
}
