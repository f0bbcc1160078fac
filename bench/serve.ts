/**
 * The measured process: the service, or a grpc-js server whose handler does nothing. It answers over IPC for its own CPU
 * time and runs the bare loops, so that a limit is taken in the same kind of process as its subject.
 */
import * as grpc from "@grpc/grpc-js";
import { loadConfig } from "../src/config.ts";
import { startServer } from "../src/server.ts";
import { type BareLoops, bareLoops } from "./bare.ts";

/** `empty` answers /bench/METHOD with that many bytes. */
export type Start = { serve: "service" } | { serve: "empty"; answerBytes: Record<string, number> };
export type Question = Start | { ask: "cpu" | "stop" } | { run: keyof BareLoops; times: number };

let stop = async (): Promise<void> => {};
const loops = await bareLoops();

process.on("message", async (question: Question) => {
  if ("ask" in question && question.ask === "stop") {
    await stop();
    process.exit();
  }
  process.send?.(await answer(question));
});

/** A port; or CPU time in microseconds, of the process so far or of the loop. */
async function answer(question: Question): Promise<number> {
  if ("serve" in question) return question.serve === "service" ? startService() : startEmpty(question.answerBytes);
  if ("run" in question) return cpuOf(loops[question.run], question.times);
  return cpuMicroseconds();
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function cpuOf(work: () => void, times: number): number {
  const before = cpuMicroseconds();
  for (let i = 0; i < times; i += 1) work();
  return cpuMicroseconds() - before;
}

async function startService(): Promise<number> {
  const env = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0", FLUO_KMS_LOG_LEVEL: "error" };
  const server = await startServer(loadConfig({ env, cwd: import.meta.dirname }));
  stop = server.stop;
  return server.grpcPort;
}

function startEmpty(answerBytes: Record<string, number>): Promise<number> {
  const server = new grpc.Server();
  const bytes = (message: Buffer) => message;
  for (const [name, size] of Object.entries(answerBytes)) {
    const answerOf = Buffer.alloc(size, 1);
    const method = {
      path: `/bench/${name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    } as const;
    const handle: grpc.handleUnaryCall<Buffer, Buffer> = (_call, callback) => callback(null, answerOf);
    server.addService({ [name]: method }, { [name]: handle });
  }
  stop = () => new Promise((resolve) => server.tryShutdown(() => resolve()));
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}
