/**
 * Preloaded into the service: by all its clocks it is as many hours later as the file FLUO_HOURS says, and every 30 s last 100 ms, as those
 * between two looks whether a probe is due.
 */
import { readFileSync } from "node:fs";

const lookMs = 30_000;
const hourMs = 3_600_000;
const aheadMs = () => Number(readFileSync(process.env.FLUO_HOURS!, "utf8")) * hourMs;

const Real = Date;
const now = () => Real.now() + aheadMs();
globalThis.Date = new Proxy(Real, {
  construct: (target, given, called) => Reflect.construct(target, given.length === 0 ? [now()] : given, called),
  get: (target, name, receiver) => (name === "now" ? now : Reflect.get(target, name, receiver)),
});

const monotonic = performance.now.bind(performance);
performance.now = () => monotonic() + aheadMs();

const { setTimeout } = globalThis;
globalThis.setTimeout = Object.assign(
  (work: () => void, ms?: number, ...given: []) => setTimeout(work, ms === lookMs ? 100 : ms, ...given),
  setTimeout,
) as typeof setTimeout;
