/**
 * Preloaded into the service and the thread of its SQLite store: it is FLUO_CRASH_DAYS later than it is. Timers run as ever; with
 * FLUO_CRASH_HASTE none is put off at random, as rotation by the clock is by half a minute. To the service its PostgreSQL server is in the same
 * time.
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

if (aheadMs > 0 && process.env.FLUO_KMS_STORE === "postgres") {
  const { default: pg } = await import("pg");
  const proto = pg.Client.prototype as { query(...given: unknown[]): unknown };
  const { query } = proto;
  const later = `(clock_timestamp() + interval '${aheadMs} milliseconds')`;
  proto.query = function (text, ...given) {
    return query.call(this, typeof text === "string" ? text.replace("clock_timestamp()", later) : text, ...given);
  };
}

if (process.env.FLUO_CRASH_HASTE !== undefined) Math.random = () => 0;
