/** Other people's servers as processes of a test's own. */
import { spawn } from "node:child_process";
import { once } from "node:events";

const keptCharacters = 100_000;

export interface ServerProgram {
  pid: number;
  /** The words by which the server told that it is ready. */
  ready: RegExpExecArray;
  /** Returns the end of what the server printed, to either output. */
  printed(): string;
  /** True once the process is gone. */
  hasEnded(): boolean;
  /** Resolves when the process is gone. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

export interface ServerOptions {
  /** Matches what the server prints once it serves. */
  ready: RegExp;
  /** All of the server's environment; this process's own unless given. */
  env?: NodeJS.ProcessEnv;
}

/** Resolves when the server is ready, and rejects with what it printed if it ends before. It ends with this process at the latest. */
export async function startServer(
  program: string,
  args: readonly string[],
  { ready, env }: ServerOptions,
): Promise<ServerProgram> {
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close");
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let printed = "";
  const told = await new Promise<RegExpExecArray>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        printed = (printed + text).slice(-keptCharacters);
        const found = ready.exec(printed);
        if (found) resolve(found);
      });
    }
    closed.then(
      () => reject(new Error(`${program} ended before it was ready: ${printed}`)),
      (error) => reject(error),
    );
  }).catch((error) => {
    process.off("exit", kill);
    throw error;
  });
  return {
    pid: child.pid!,
    ready: told,
    printed: () => printed,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    async end(signal = "SIGTERM") {
      process.off("exit", kill);
      child.kill(signal);
      await closed;
    },
  };
}
