/** The cache on a clock that the test moves. */
import { manualTime } from "../../src/runtime/manual-time.ts";
import { realTime } from "../../src/runtime/time.ts";
import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { type Cache, type CacheOptions, createCache } from "../../src/keys/cache.ts";
import { abandonOn } from "../../src/runtime/deadline.ts";
import { thrownBy } from "../support/matchers.ts";

interface Value {
  name: string;
  destroyed: boolean;
  destroy(): void;
}

function value(name: string): Value {
  return {
    name,
    destroyed: false,
    destroy() {
      this.destroyed = true;
    },
  };
}

function setUp(options: Partial<CacheOptions> = {}) {
  const clock = { ms: 0 };
  const cache = createCache<Value>({
    maxEntries: 3,
    ttlMs: 1_000,
    maxStaleMs: 10_000,
    time: { ...realTime, monotonicMs: () => clock.ms },
    random: () => 0,
    ...options,
  });
  return { cache, clock };
}

/** A loader that waits for the test. */
function gate() {
  const { promise, resolve, reject } = Promise.withResolvers<Value>();
  let calls = 0;
  const loader = () => {
    calls += 1;
    return promise;
  };
  return { loader, resolve, reject, calls: () => calls };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const unavailable = () => Promise.reject(new KmsError("PROVIDER_UNAVAILABLE", "down"));
const never = () => Promise.reject(new Error("must not be loaded"));

describe("hits and loads", () => {
  it("answers a hit at once, with the same value and no promise", async () => {
    const { cache } = setUp();
    expect(cache.get("a")).toBeUndefined();
    const loaded = await cache.load("a", async () => value("a1"));
    expect(cache.get("a")).toBe(loaded);
    expect(cache.load("a", never)).toBe(loaded);
  });

  it("loads a key once for all who wait", async () => {
    const { cache } = setUp();
    const { loader, resolve, calls } = gate();
    const waiting = Array.from({ length: 1_000 }, () => cache.load("a", loader));
    resolve(value("a1"));
    const values = await Promise.all(waiting);
    expect(new Set(values).size).toBe(1);
    expect(calls()).toBe(1);
  });

  it("goes on for the others when one waiter goes away", async () => {
    const { cache } = setUp();
    const { loader, resolve, calls } = gate();
    const caller = new AbortController();
    const gone = abandonOn(caller.signal, Promise.resolve(cache.load("a", loader)));
    const stays = cache.load("a", loader);
    caller.abort();
    expect(await thrownBy(() => gone)).toBeKmsError("CANCELLED");
    resolve(value("a1"));
    expect((await stays).name).toBe("a1");
    expect(cache.get("a")?.name).toBe("a1");
    expect(calls()).toBe(1);
  });

  it("never keeps an error", async () => {
    const { cache } = setUp();
    expect(await thrownBy(() => cache.load("a", unavailable))).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect((await cache.load("a", async () => value("a1"))).name).toBe("a1");
  });

  it("counts who was answered at once, who waited and who was pushed out", async () => {
    const { cache } = setUp();
    for (const key of ["a", "b", "c", "d"]) await cache.load(key, async () => value(key));
    cache.get("d");
    cache.get("a");
    expect(cache.stats()).toEqual({
      hits: 1,
      misses: 4,
      evictions: 1,
      size: 3,
      stale: 0,
      loads: { first: 4, refreshed: 0, expired: 0, doubted: 0 },
    });
  });
});

describe("time", () => {
  it("keeps a value for its time and not longer", async () => {
    const { cache, clock } = setUp();
    await cache.load("a", async () => value("a1"));
    clock.ms = 799;
    expect(cache.get("a")?.name).toBe("a1");
    clock.ms = 1_000;
    expect(cache.get("a")).toBeUndefined();
    expect((await cache.load("a", async () => value("a2"))).name).toBe("a2");
  });

  it("reloads once in the background late in a value's life, and serves the value meanwhile", async () => {
    const { cache, clock } = setUp();
    let calls = 0;
    const loader = async () => value(`a${++calls}`);
    const first = await cache.load("a", loader);
    clock.ms = 800;
    expect(cache.get("a")).toBe(first);
    expect(cache.get("a")).toBe(first);
    await turn();
    expect(cache.get("a")?.name).toBe("a2");
    expect(calls).toBe(2);
    clock.ms = 1_700;
    expect(cache.get("a")?.name).toBe("a2");
  });

  it("does not serve a value past its time while a reload gets no answer", async () => {
    const { cache, clock } = setUp();
    const { loader, resolve } = gate();
    cache.put("a", value("a1"), loader);
    clock.ms = 900;
    expect(cache.get("a")?.name).toBe("a1");
    clock.ms = 1_000;
    expect(cache.get("a")).toBeUndefined();
    const waits = cache.load("a", never);
    resolve(value("a2"));
    expect((await waits).name).toBe("a2");
  });

  it("spreads the reloads of values that were loaded together", async () => {
    const { cache, clock } = setUp({ random: () => 0.999 });
    const { loader, calls } = gate();
    cache.put("late", value("late"), loader);
    clock.ms = 940;
    cache.get("late");
    expect(calls()).toBe(0);
    clock.ms = 950;
    cache.get("late");
    expect(calls()).toBe(1);
  });

  it("keeps the value when its reload fails, and tries again later", async () => {
    const { cache, clock } = setUp({ ttlMs: 100_000 });
    let calls = 0;
    cache.put("a", value("a1"), () => {
      calls += 1;
      return unavailable();
    });
    clock.ms = 80_000;
    cache.get("a");
    await turn();
    expect(cache.get("a")?.name).toBe("a1");
    expect(calls).toBe(1);
    clock.ms = 85_000;
    expect(cache.get("a")?.name).toBe("a1");
    expect(calls).toBe(2);
  });

  it("drops what may not be served any more, though nobody asks", async () => {
    const { cache, clock } = setUp();
    const a = value("a");
    cache.put("a", a, never);
    clock.ms = 10_999;
    cache.dropExpired();
    expect(cache.stats().size).toBe(1);
    clock.ms = 11_000;
    cache.dropExpired();
    await turn();
    expect(a.destroyed).toBe(true);
    expect(cache.stats()).toMatchObject({ size: 0, evictions: 1 });
  });
});

describe("loads are counted by why they were needed", () => {
  const loaded = async (name: string) => value(name);

  it("for the first time, because of a doubt, late in a value's life, and after its time", async () => {
    const { cache, clock } = setUp();
    const used = async (ms: number) => {
      clock.ms = ms;
      cache.get("a");
      await turn();
      return cache.stats().loads;
    };
    await cache.load("a", () => loaded("a"));
    expect(cache.stats().loads).toEqual({ first: 1, refreshed: 0, expired: 0, doubted: 0 });
    expect(await used(799)).toMatchObject({ refreshed: 0 });
    cache.doubtIf("a", () => true);
    expect(await used(799)).toMatchObject({ refreshed: 0, doubted: 1 });
    cache.doubtWhere(() => true);
    expect(await used(1_600)).toMatchObject({ refreshed: 1, doubted: 1 });
    clock.ms = 2_600;
    expect(cache.get("a")).toBeUndefined();
    await cache.load("a", () => loaded("a"));
    expect(cache.stats().loads).toEqual({ first: 1, refreshed: 1, expired: 1, doubted: 1 });
  });

  it("for the first time again, once it was dropped, pushed out or forgotten", async () => {
    const { cache, clock } = setUp({ maxEntries: 1 });
    await cache.load("a", () => loaded("a"));
    await cache.load("b", () => loaded("b"));
    await cache.load("a", () => loaded("a"));
    cache.invalidate("a");
    await cache.load("a", () => loaded("a"));
    clock.ms = 11_000;
    cache.dropExpired();
    await cache.load("a", () => loaded("a"));
    expect(cache.stats().loads).toEqual({ first: 5, refreshed: 0, expired: 0, doubted: 0 });
  });

  it("only once they gave a value that is kept", async () => {
    const { cache, clock } = setUp();
    await thrownBy(() => cache.load("a", unavailable));
    const { loader, resolve } = gate();
    const waits = cache.load("b", loader);
    cache.invalidate("b");
    resolve(value("b"));
    await waits;
    cache.put("c", value("c"), unavailable);
    clock.ms = 900;
    cache.get("c");
    await turn();
    expect(cache.stats().loads).toEqual({ first: 0, refreshed: 0, expired: 0, doubted: 0 });
  });
});

describe("a source that does not answer", () => {
  it("is outlived up to the stale bound", async () => {
    const { cache, clock } = setUp();
    const first = await cache.load("a", async () => value("a1"));
    clock.ms = 1_000;
    expect(await cache.load("a", unavailable)).toBe(first);
    expect(cache.get("a")).toBe(first);
    expect(first.destroyed).toBe(false);
    clock.ms = 11_000;
    expect(cache.get("a")).toBeUndefined();
    expect(await thrownBy(() => cache.load("a", unavailable))).toBeKmsError("PROVIDER_UNAVAILABLE");
  });

  it("is asked in the background while the expired value is served", async () => {
    const { cache, clock } = setUp({ maxStaleMs: 100_000 });
    let healthy = false;
    const loader = () => (healthy ? Promise.resolve(value("a2")) : unavailable());
    cache.put("a", value("a1"), loader);
    clock.ms = 2_000;
    await cache.load("a", loader);
    healthy = true;
    clock.ms = 7_000;
    expect(cache.get("a")?.name).toBe("a1");
    await turn();
    expect(cache.get("a")?.name).toBe("a2");
    expect(cache.stats().loads).toEqual({ first: 0, refreshed: 0, expired: 1, doubted: 0 });
  });

  it("has those counted that are served past their time, until it answers again", async () => {
    const { cache, clock } = setUp({ maxStaleMs: 100_000 });
    const loader = async (name: string) => value(name);
    for (const name of ["a", "b", "c"]) cache.put(name, value(name), unavailable);
    expect(cache.stats()).toMatchObject({ size: 3, stale: 0 });
    clock.ms = 1_000;
    await cache.load("a", unavailable);
    await cache.load("b", unavailable);
    expect(cache.stats()).toMatchObject({ size: 3, stale: 2 });
    cache.put("a", value("a"), () => loader("a"));
    expect(cache.stats()).toMatchObject({ size: 3, stale: 1 });
    clock.ms = 31_000; // nobody asked for b again: it would be loaded anew
    expect(cache.stats()).toMatchObject({ size: 3, stale: 0 });
  });
});

describe("a source that is silent", () => {
  /** An expired value whose reload hangs. */
  function silent(options: Partial<CacheOptions> = {}) {
    const time = manualTime();
    const { cache } = setUp({ time, ...options });
    const reload = gate();
    cache.put("a", value("a1"), reload.loader);
    const asked = () => Promise.resolve(cache.load("a", reload.loader)).then(({ name }) => name);
    return { cache, time, reload, advance: time.advance, asked };
  }

  it("has its expired value served after a second, to all who wait, and from then on at once", async () => {
    const { cache, time, reload, advance, asked } = silent();
    await advance(1_000);
    expect(cache.get("a")).toBeUndefined();
    const waiting = Array.from({ length: 100 }, asked);
    let served = 0;
    for (const each of waiting) void each.then(() => (served += 1));
    await advance(999);
    expect(served).toBe(0);
    await advance(1);
    expect(served).toBe(100);
    expect(cache.get("a")?.name).toBe("a1");
    expect(reload.calls()).toBe(1);
    reload.resolve(value("a2"));
    await advance(0);
    expect(cache.get("a")?.name).toBe("a2");
    expect(time.timers()).toBe(0);
  });

  it("gives the new value to whoever waited less than a second, and leaves no timer", async () => {
    const { time, reload, advance, asked } = silent();
    await advance(1_000);
    const waits = asked();
    await advance(999);
    reload.resolve(value("a2"));
    expect(await waits).toBe("a2");
    expect(time.timers()).toBe(0);
  });

  it("keeps nobody waiting whose value expires when the reload has taken a second already", async () => {
    const { cache, advance, asked } = silent({ ttlMs: 10_000 });
    await advance(8_500);
    expect(cache.get("a")?.name).toBe("a1"); // and the reload begins
    await advance(1_500);
    expect(cache.get("a")).toBeUndefined();
    const waits = asked();
    await advance(1);
    expect(await waits).toBe("a1");
  });

  it("has no value served past the stale bound: whoever asks then waits for it", async () => {
    const { cache, time, reload, advance, asked } = silent({ maxStaleMs: 1_500 });
    await advance(1_000);
    const early = asked();
    await advance(1_000);
    expect(await early).toBe("a1");
    await advance(400);
    expect(cache.get("a")?.name).toBe("a1");
    await advance(100);
    expect(time.monotonicMs()).toBe(2_500);
    expect(cache.get("a")).toBeUndefined();
    const late = asked();
    let isServed = false;
    void late.then(() => (isServed = true));
    await advance(60_000);
    expect(isServed).toBe(false);
    reload.resolve(value("a2"));
    expect(await late).toBe("a2");
  });

  it("has no value served whose bound passes while it is waited for", async () => {
    const { reload, advance, asked } = silent({ maxStaleMs: 500 });
    await advance(1_000);
    const waits = thrownBy(asked);
    await advance(1_000);
    reload.reject(new KmsError("PROVIDER_UNAVAILABLE", "down"));
    expect(await waits).toBeKmsError("PROVIDER_UNAVAILABLE");
  });

  it.each<[string, (cache: Cache<Value>) => void]>([
    ["evicted", (cache) => cache.evictWhere(() => true)],
    ["invalidated", (cache) => cache.invalidate("a")],
    ["cleared", (cache) => cache.clear()],
  ])("has no value served that was %s while it was waited for", async (_how, leave) => {
    const { cache, reload, advance, asked } = silent({ maxStaleMs: 3_600_000 });
    await advance(1_000);
    const waits = thrownBy(asked);
    await advance(500);
    leave(cache);
    await advance(10_000);
    reload.reject(new KmsError("PROVIDER_UNAVAILABLE", "down"));
    expect(await waits).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect(cache.get("a")).toBeUndefined();
  });

  it("is asked again no later than 30 s after a value was served without it", async () => {
    const { cache, reload, advance, asked } = silent({ maxStaleMs: 3_600_000 });
    await advance(1_000);
    const waits = asked();
    await advance(1_000);
    await waits;
    await advance(29_999);
    expect(cache.get("a")?.name).toBe("a1");
    await advance(1);
    expect(cache.get("a")).toBeUndefined();
    expect(reload.calls()).toBe(1); // it still hangs
  });
});

describe("values that one refusal concerns", () => {
  it("are evicted, and no others", async () => {
    const { cache } = setUp();
    const [a, b] = [value("a"), value("b")];
    cache.put("a", a, never);
    cache.put("b", b, never);
    cache.evictWhere(({ name }) => name === "a");
    expect(cache.get("a")).toBeUndefined();
    expect(cache.get("b")).toBe(b);
    await turn();
    expect([a.destroyed, b.destroyed]).toEqual([true, false]);
  });

  it("are not kept where their load began before", async () => {
    const { cache } = setUp();
    const { loader, resolve } = gate();
    const before = Promise.resolve(cache.load("a", loader));
    cache.evictWhere(() => true);
    resolve(value("old"));
    expect((await before).name).toBe("old");
    expect(cache.get("a")).toBeUndefined();
  });

  it("are never served stale afterwards, though the source then gives no answer", async () => {
    const { cache } = setUp();
    cache.put("a", value("a1"), unavailable);
    cache.evictWhere(() => true);
    expect(await thrownBy(() => cache.load("a", unavailable))).toBeKmsError("PROVIDER_UNAVAILABLE");
  });

  it("are loaded anew at their next use when they are doubted, once, and served meanwhile", async () => {
    const { cache } = setUp();
    const loads: string[] = [];
    const loader = (name: string) => async () => {
      loads.push(name);
      return value(`${name}2`);
    };
    for (const name of ["a", "b"]) cache.put(name, value(name), loader(name));
    cache.doubtWhere(({ name }) => name === "a");
    expect(loads).toEqual([]);
    for (const name of ["a", "a", "b"]) expect(cache.get(name)?.name).toBe(name);
    expect(loads).toEqual(["a"]);
    await turn();
    expect(cache.get("a")?.name).toBe("a2");
    expect(loads).toEqual(["a"]);
  });
});

describe("a source that says no", () => {
  it("evicts a value that is still fresh", async () => {
    const { cache, clock } = setUp();
    const a = value("a1");
    cache.put("a", a, () => Promise.reject(new KmsError("PROVIDER_DENIED", "no")));
    clock.ms = 900;
    expect(cache.get("a")).toBe(a);
    await turn();
    expect(cache.get("a")).toBeUndefined();
    await turn();
    expect(a.destroyed).toBe(true);
  });
});

describe("a denial", () => {
  const denied = (counted: { asked: number }) => () => {
    counted.asked += 1;
    return Promise.reject(new KmsError("PROVIDER_DENIED", "no"));
  };

  it("is told again for a second without asking, for that key alone", async () => {
    const { cache, clock } = setUp();
    const counted = { asked: 0 };
    const load = async () => cache.load("a", denied(counted));
    for (clock.ms = 0; clock.ms < 1_000; clock.ms += 100) {
      expect(await thrownBy(load)).toBeKmsError("PROVIDER_DENIED", "no");
    }
    expect(counted.asked).toBe(1);
    expect((await cache.load("b", async () => value("b1"))).name).toBe("b1");
    await thrownBy(load);
    expect(counted.asked).toBe(2);
  });

  it.each([
    ["its key is invalidated", (cache: Cache<Value>) => cache.invalidate("a")],
    ["all is forgotten", (cache: Cache<Value>) => cache.clear()],
    ["a value is set", (cache: Cache<Value>) => cache.put("a", value("a1"), never)],
  ])("is forgotten when %s", async (_when, forget) => {
    const { cache } = setUp();
    await thrownBy(async () => cache.load("a", denied({ asked: 0 })));
    forget(cache);
    expect((await cache.load("a", async () => value("a1"))).name).toBe("a1");
  });
});

describe("changes during a load", () => {
  it("does not keep what was being loaded before an invalidation, and gives it to those who asked before", async () => {
    const { cache } = setUp();
    const { loader, resolve } = gate();
    const before = Promise.resolve(cache.load("a", loader));
    cache.invalidate("a");
    const after = Promise.resolve(cache.load("a", async () => value("new")));
    expect((await after).name).toBe("new");
    const old = value("old");
    resolve(old);
    await before;
    expect(cache.get("a")?.name).toBe("new");
    await turn();
    expect(old.destroyed).toBe(true);
  });

  it("gives those who wait the newer value where there is one", async () => {
    const { cache } = setUp();
    const { loader, resolve } = gate();
    const before = Promise.resolve(cache.load("a", loader));
    cache.put("a", value("new"), never);
    resolve(value("old"));
    expect((await before).name).toBe("new");
    expect(cache.get("a")?.name).toBe("new");
  });

  it("lets those who wait use the value that is not kept, until the turn ends", async () => {
    const { cache } = setUp();
    const { loader, resolve } = gate();
    const before = Promise.resolve(cache.load("a", loader)).then((given) => given.destroyed);
    cache.invalidate("a");
    resolve(value("old"));
    expect(await before).toBe(false);
    expect(cache.get("a")).toBeUndefined();
  });

  it("does not let a reload that fails late evict what came after it", async () => {
    const { cache } = setUp();
    const { loader, reject } = gate();
    const before = Promise.resolve(cache.load("a", loader));
    cache.put("a", value("new"), never);
    reject(new KmsError("PROVIDER_DENIED", "no"));
    await thrownBy(() => before);
    expect(cache.get("a")?.name).toBe("new");
  });
});

describe("destruction", () => {
  it.each<[string, (cache: Cache<Value>) => void]>([
    ["invalidated", (cache) => cache.invalidate("a")],
    ["replaced", (cache) => cache.put("a", value("a2"), never)],
    ["cleared", (cache) => cache.clear()],
    ["pushed out", (cache) => ["b", "c", "d"].forEach((key) => void cache.put(key, value(key), never))],
  ])("of a value that was %s comes after the turn", async (_how, leave) => {
    const { cache } = setUp();
    const a = value("a1");
    cache.put("a", a, never);
    leave(cache);
    await Promise.resolve();
    expect(a.destroyed).toBe(false);
    await turn();
    expect(a.destroyed).toBe(true);
  });
});
