/**
 * Preloaded into an earlier version of the service: it is as many days later as the file FLUO_VERSIONS_DAYS says, its maintenance of every minute
 * comes ten times a second, and nothing is put off at random.
 */
import { readFileSync } from "node:fs";

const file = /** @type {string} */ (process.env.FLUO_VERSIONS_DAYS);
const dayMs = 24 * 60 * 60 * 1000;
const Real = Date;
const now = () => Real.now() + Number(readFileSync(file, "utf8")) * dayMs;

globalThis.Date = new Proxy(Real, {
  construct: (target, given, called) => Reflect.construct(target, given.length === 0 ? [now()] : given, called),
  get: (target, name, receiver) => (name === "now" ? now : Reflect.get(target, name, receiver)),
});

const { setInterval } = globalThis;
globalThis.setInterval = (work, ms, ...given) => setInterval(work, ms === 60_000 ? 100 : ms, ...given);
Math.random = () => 0;
