/**
 * A backup in a process of its own: it reads by its own connection, as the command does, and neither a thread of the service nor the locks
 * of its connections are concerned. It gets no environment, which may hold secrets.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { KmsError } from "../errors.ts";
import { flags } from "../runtime/flags.js";
import { moduleBeside } from "../runtime/module-beside.ts";
import type { Made, Order, OrderAnswer } from "./order.ts";

const entry = fileURLToPath(new URL("./entry.js", import.meta.url));
const answering = moduleBeside("order", import.meta.url);

/** STORE_UNAVAILABLE if it fails. When the signal aborts the process is killed, and the signal's reason thrown once it has ended. */
export async function backUpInProcess(order: Order, signal: AbortSignal): Promise<Made> {
  signal.throwIfAborted();
  const child = fork(entry, [answering.href], {
    env: {},
    execArgv: [...flags],
    serialization: "advanced",
    stdio: "ignore",
  });
  const kill = () => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill);
  try {
    let answer: OrderAnswer | undefined;
    child.once("message", (message) => {
      answer = message as OrderAnswer;
    });
    const ended = once(child, "exit"); // rejects if the process cannot be started
    child.send(order, () => {}); // one that cannot be reached ends without an answer
    const [code, killedBy] = await ended;
    signal.throwIfAborted();
    if (answer === undefined) throw failed(`its process ended with ${killedBy ?? code}`);
    if ("failure" in answer) throw failed(answer.failure);
    return answer.made;
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

function failed(why: string): KmsError {
  return new KmsError("STORE_UNAVAILABLE", why);
}
