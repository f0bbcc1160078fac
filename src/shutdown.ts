/**
 * The end of a running service: it is not ready at once, serves on for a while, drains, and closes what is left. A balancer that learns late
 * of the end thus sends nobody to a closed port.
 */
import type { Logger } from "pino";
import type { Time } from "./runtime/time.ts";
import { withDeadline } from "./runtime/deadline.ts";

export interface ShutdownParts {
  health: { drain(): void };
  background: Closing;
  rewriting: Closing;
  integrity: Closing;
  /** Both ports. They drain within a grace of their own. */
  servers: Draining;
  /** Closed first after the drain, and again with the rest, for what that adds. */
  audit: Closing;
  /** Closes every part, those above too. */
  rest(): Promise<void>;
  log: Logger;
  /** Time from the start of the end to the drain. */
  delayMs: number;
  time: Time;
}

interface Closing {
  close(): void | Promise<void>;
}

interface Draining {
  /** Goes on serving, and has callers come back over other connections where their protocol can say so. */
  leave(): void;
  /** Ends running calls. */
  drain(): Promise<void>;
}

/** Time for all that follows the drain. */
const afterDrainMs = 10_000;
/** Time that work in the background has of it: a provider may hang, and the store is to be closed in order. */
const backgroundMs = 4_000;

/** Resolves at the latest `afterDrainMs` after the drain, whatever hangs then. */
export async function shutDown(parts: ShutdownParts): Promise<void> {
  const { health, background, rewriting, integrity, servers, audit, rest, log, delayMs, time } = parts;
  if (delayMs > 0) log.info({ delay_ms: delayMs }, "not ready any more: serving on before the drain");
  else log.info("draining");
  health.drain();
  servers.leave();
  // None of them begins anything more, while calls are served and end. The rest waits for them.
  for (const each of [background, rewriting, integrity]) Promise.resolve(each.close()).catch(() => {});
  if (delayMs > 0) {
    await time.sleep(delayMs);
    log.info("draining");
  }
  await servers.drain();
  const late = () => new Error(`what follows the drain took more than ${afterDrainMs / 1_000} s`);
  await withDeadline(time, afterDrainMs, late, async () => {
    await audit.close();
    await rest();
  }).catch((err) => log.error({ err }, "not everything was closed in order"));
}

/** Closes work in the background, and waits for it no longer than the end of the service can. */
export async function closeInBackground(part: Closing, time: Time): Promise<void> {
  const late = () => new Error("work in the background goes on");
  await withDeadline(time, backgroundMs, late, () => part.close()).catch(() => {});
}
