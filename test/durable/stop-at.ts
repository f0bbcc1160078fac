/** Preloaded into a command: it stops itself, as by SIGSTOP from outside, at the n-th publication of a named step, as FLUO_STOP_AT says. */
import { steps } from "../../src/failpoints.ts";

const [name, nth] = process.env.FLUO_STOP_AT!.split(":");
let left = Number(nth);
steps.subscribe((published) => {
  if (published !== name) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, "SIGSTOP");
});
