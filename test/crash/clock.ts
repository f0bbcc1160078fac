/**
 * Preloaded into the service and the thread of its SQLite store: it is FLUO_CRASH_DAYS later than it is. Timers run as ever; with
 * FLUO_CRASH_HASTE none is put off at random, as rotation by the clock is by half a minute.
 */

const aheadMs = Number(process.env.FLUO_CRASH_DAYS ?? "0") * 24 * 60 * 60 * 1000;

if (aheadMs > 0) {
  const Real = Date;
  const now = () => Real.now() + aheadMs;
  // A proxy, so that every date, whoever made it, is an instance of it.
  globalThis.Date = new Proxy(Real, {
    construct: (target, given, called) => Reflect.construct(target, given.length === 0 ? [now()] : given, called),
    get: (target, name, receiver) => (name === "now" ? now : Reflect.get(target, name, receiver)),
  });
}

if (process.env.FLUO_CRASH_HASTE !== undefined) Math.random = () => 0;
