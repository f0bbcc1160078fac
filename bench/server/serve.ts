/**
 * The measured process: the service, or a server of grpc-js or of connect-node whose handlers do nothing. It answers for its own CPU time and runs the bare
 * loops, so that a limit is taken in the same kind of process as its subject.
 */
import { loadConfig } from "../../src/config/load.ts";
import { startServer } from "../../src/server.ts";
import { answerQuestions, cpuMicros } from "../child.ts";
import type { BareLoops } from "./bare.ts";
import { type ServerKey, startEmpty } from "./empty.ts";
import { startLibrary } from "./library.ts";

export type Question =
  | { serve: "service"; env: Readonly<Record<string, string>> }
  | { serve: "empty"; answerBytes: Readonly<Record<string, number>>; own?: ServerKey }
  | { serve: "library"; answers: Readonly<Record<string, Uint8Array>> }
  | { ask: "cpu" | "httpPort" }
  | { run: keyof BareLoops; times: number };

let stop = async (): Promise<void> => {};
let httpPort = 0;
/** Only where they are asked for: elsewhere the process is the service's alone, in memory as well. */
let loops: Promise<BareLoops> | undefined;

answerQuestions<Question>(answer, () => stop());

/** A port, of gRPC or of HTTP; or CPU time in microseconds, of the process so far or of the loop. */
async function answer(question: Question): Promise<number> {
  if ("ask" in question) return question.ask === "cpu" ? cpuMicros() : httpPort;
  if ("run" in question) {
    loops ??= import("./bare.ts").then(({ bareLoops }) => bareLoops());
    return cpuOf((await loops)[question.run], question.times);
  }
  if (question.serve === "empty") {
    const empty = await startEmpty(question.answerBytes, question.own);
    stop = empty.stop;
    return empty.port;
  }
  if (question.serve === "library") {
    const library = await startLibrary(question.answers);
    stop = library.stop;
    return library.port;
  }
  const server = await startServer(loadConfig({ env: question.env, cwd: import.meta.dirname }));
  stop = server.stop;
  httpPort = server.httpPort;
  return server.grpcPort;
}

function cpuOf(work: () => void, times: number): number {
  const before = cpuMicros();
  for (let i = 0; i < times; i += 1) work();
  return cpuMicros() - before;
}
