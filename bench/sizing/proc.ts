/** CPU of processes and threads by Linux's /proc, in steps of 10 ms. */
import { readFileSync } from "node:fs";

const tickMicros = 10_000;

/** Of a process, `PID`, or of one thread, `PID/task/TID`; 0 if it has ended. With its ended children if wanted. */
export function cpuMicrosOf(path: string, withEndedChildren = false): number {
  const fields = statOf(path);
  if (fields === undefined) return 0;
  const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number);
  const own = user! + system!;
  return tickMicros * (withEndedChildren ? own + childrenUser! + childrenSystem! : own);
}

/** Undefined for what is no process, or has ended. */
export function parentOf(name: string): number | undefined {
  if (!/^\d+$/.test(name)) return undefined;
  const fields = statOf(name);
  return fields && Number(fields[1]);
}

/** Fields of proc(5) after the name, of which the first is the state. */
function statOf(path: string): string[] | undefined {
  try {
    return readFileSync(`/proc/${path}/stat`, "utf8").split(") ").at(-1)!.split(" ");
  } catch {
    return undefined; // it has ended meanwhile
  }
}
