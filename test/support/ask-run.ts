/** What the main process of a Vitest run makes once for all workers that ask. It says how to reach it in the environment. */
import { connect } from "node:net";
import { json } from "node:stream/consumers";

/** The environment's name of the socket's path. */
export const runSocket = "TEST_RUN_SOCKET";

export type Answer = { answer: unknown } | { error: string };

/** Whether this process belongs to a run that can be asked. */
export function isRun(): boolean {
  return process.env[runSocket] !== undefined;
}

export async function askRun<Kind>(thing: string): Promise<Kind> {
  const socket = connect(process.env[runSocket]!);
  socket.end(thing);
  const told = (await json(socket)) as Answer;
  if ("error" in told) throw new Error(told.error);
  return told.answer as Kind;
}
