/** A process of the benchmark's own, which answers one question at a time. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { compileCache } from "../src/runtime/compile-cache.js";

export interface Child {
  pid: number;
  /** What the process answers. Rejects where it fails, or ends. */
  ask<Answer>(question: unknown): Promise<Answer>;
  /** Lets it end by itself. */
  stop(): Promise<void>;
}

/** `file` is a module of this folder that calls `answerQuestions`. What Node makes of it is kept where `src/main.js` keeps it. */
export function startChild(file: string, execArgv: readonly string[] = []): Child {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const env = { ...process.env, NODE_COMPILE_CACHE: compileCache };
  const child = fork(path, { execArgv: [...execArgv], env, serialization: "advanced" });
  const ended = once(child, "exit");
  return {
    pid: child.pid!,
    async ask<Answer>(question: unknown) {
      child.send(question as object);
      const over = new AbortController();
      const [{ answer, failure }] = await Promise.race([
        once(child, "message", { signal: over.signal }),
        once(child, "exit", { signal: over.signal }).then(() => {
          throw new Error(`the process of ${file} ended`);
        }),
      ]).finally(() => over.abort());
      if (failure !== undefined) throw new Error(`in the process of ${file}: ${failure}`);
      return answer as Answer;
    },
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/** The other side. `stop` runs when the parent is gone or wants no more; the process ends after it. */
export function answerQuestions<Question>(
  answer: (question: Question) => Promise<unknown>,
  stop: () => Promise<void> | void,
): void {
  process.on("message", async (question: Question) => {
    try {
      process.send!({ answer: await answer(question) });
    } catch (error) {
      process.send!({ failure: error instanceof Error ? error.message : String(error) });
    }
  });
  process.once("disconnect", async () => {
    await stop();
    process.exit();
  });
}

/** Microseconds of CPU that this process has used, user and system, in all its threads. */
export function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
