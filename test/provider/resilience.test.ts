/** The resilience layer over a real local provider, made slow, silent or wrong where a test needs it. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { dependable } from "../../src/provider/failover.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import {
  type Breaker,
  type ProviderCall,
  type ResilienceOptions,
  resilient,
  worstBreakers,
} from "../../src/provider/resilience.ts";
import { manualTime } from "../../src/runtime/manual-time.ts";
import { realTime } from "../../src/runtime/time.ts";
import { msFromNow } from "../support/from-now.ts";
import { thrownBy } from "../support/matchers.ts";
import { providerContract } from "../support/provider-contract.ts";

const context = { tenant_id: "acme" };
/** No pauses to wait for, and a breaker that stays out of the way. */
const quick = { time: realTime, firstPauseMs: 1, maxPauseMs: 1, breakAfter: 1_000, retryBudget: 1_000 };

providerContract("local behind the resilience layer", async () => ({
  provider: resilient(localProvider(randomMasterKey()), { time: realTime }),
  other: resilient(localProvider(randomMasterKey()), { time: realTime }),
}));

function changed(changes: Partial<Provider>): Provider {
  return { ...localProvider(randomMasterKey()), ...changes };
}

function failing(code: KmsErrorCode) {
  let calls = 0;
  const provider = changed({
    async decrypt() {
      calls += 1;
      throw new KmsError(code, "as told");
    },
  });
  return { provider, calls: () => calls };
}

/** Answers when told to; an aborted signal ends a call as the contract says. */
function gated() {
  const waiting: { open: () => void; id: number }[] = [];
  const provider = changed({
    encrypt(plaintext, _context, signal) {
      return new Promise((resolve, reject) => {
        waiting.push({ open: () => resolve(randomBytes(60)), id: plaintext[0]! });
        signal?.addEventListener("abort", () => reject(new KmsError("CANCELLED", "the call was cancelled")));
      });
    },
  });
  return { provider, waiting };
}

afterEach(() => {
  vi.useRealTimers();
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

it("tells of each attempt while it is under way, whatever its end", async () => {
  const { provider, waiting } = gated();
  let inFlight = 0;
  const layered = resilient(provider, {
    ...quick,
    maxInFlight: 2,
    attempting: (change) => {
      inFlight += change;
    },
  });
  const caller = new AbortController();
  const encrypt = (id: number, signal?: AbortSignal) => layered.encrypt(Buffer.from([id]), context, signal);
  const calls = [encrypt(1), encrypt(2, caller.signal), encrypt(3)];
  await turn();
  expect(inFlight).toBe(2); // the third waits for its turn
  waiting[0]!.open();
  await calls[0];
  await turn();
  expect(inFlight).toBe(2);
  caller.abort();
  expect(await thrownBy(() => calls[1])).toBeKmsError("CANCELLED");
  waiting.at(-1)!.open();
  await calls[2];
  await turn();
  expect(inFlight).toBe(0);
});

describe("retries", () => {
  it("repeats what was unavailable until it answers", async () => {
    const local = localProvider(randomMasterKey());
    let calls = 0;
    const flaky: Provider = {
      ...local,
      async decrypt(...given) {
        calls += 1;
        if (calls < 3) throw new KmsError("PROVIDER_UNAVAILABLE", "throttled");
        return local.decrypt(...given);
      },
    };
    const { plaintext, wrapped } = await local.generateDataKey(context);
    const opened = await resilient(flaky, quick).decrypt(wrapped, context);
    expect(Buffer.compare(opened, plaintext)).toBe(0);
    expect(calls).toBe(3);
  });

  it("gives up after the last attempt", async () => {
    const { provider, calls } = failing("PROVIDER_UNAVAILABLE");
    const call = () => resilient(provider, { ...quick, maxRetries: 2 }).decrypt(randomBytes(60), context);
    expect(await thrownBy(call)).toBeKmsError("PROVIDER_UNAVAILABLE", "as told");
    expect(calls()).toBe(3);
  });

  it.each<KmsErrorCode>(["CIPHERTEXT_REJECTED", "INVALID_ARGUMENT", "PROVIDER_DENIED"])(
    "repeats no %s",
    async (code) => {
      const { provider, calls } = failing(code);
      expect(await thrownBy(() => resilient(provider, quick).decrypt(randomBytes(60), context))).toBeKmsError(code);
      expect(calls()).toBe(1);
    },
  );

  it("passes on an error that is not ours, once", async () => {
    const bug = new TypeError("a bug");
    const provider = resilient(changed({ encrypt: () => Promise.reject(bug) }), quick);
    expect(await thrownBy(() => provider.encrypt(randomBytes(32), context))).toBe(bug);
  });
});

describe("a pause before a retry", () => {
  const options = { ...quick, firstPauseMs: 3_600_000, maxPauseMs: 3_600_000 };

  // Half an hour: it is random up to the hour, and once in a thousand times is over within seconds.
  beforeEach(() => void vi.spyOn(Math, "random").mockReturnValue(0.5));
  afterEach(() => void vi.restoreAllMocks());

  it("ends with a caller that goes away, and nothing of it is left", async () => {
    const time = manualTime();
    const { provider, calls } = failing("PROVIDER_UNAVAILABLE");
    const caller = new AbortController();
    const call = thrownBy(() =>
      resilient(provider, { ...options, time }).decrypt(randomBytes(60), context, caller.signal),
    );
    await turn();
    caller.abort();
    expect(await call).toBeKmsError("CANCELLED");
    await turn();
    expect(time.timers()).toBe(0);
    expect(calls()).toBe(1);
  });

  it("ends when the whole time of the call is up", async () => {
    const { provider, calls } = failing("PROVIDER_UNAVAILABLE");
    const time = manualTime();
    const guarded = resilient(provider, { ...options, time, totalTimeoutMs: 5_000 });
    const call = thrownBy(() => guarded.decrypt(randomBytes(60), context));
    await time.advance(5_000);
    expect(await call).toBeKmsError("PROVIDER_UNAVAILABLE", "did not answer in time");
    expect([time.monotonicMs(), time.timers()]).toEqual([5_000, 0]);
    expect(calls()).toBe(1);
  });
});

describe("the breaker", () => {
  const options = { ...quick, breakAfter: 3, maxRetries: 0, probeMs: 3_600_000 };

  it("opens after as many unavailable attempts in a row, and then asks the provider nothing", async () => {
    const { provider, calls } = failing("PROVIDER_UNAVAILABLE");
    const guarded = resilient(provider, options);
    expect(guarded.breakers()).toEqual([{ name: "local", state: "closed" }]);
    for (let i = 0; i < 5; i += 1) {
      expect(await thrownBy(() => guarded.decrypt(randomBytes(60), context))).toBeKmsError("PROVIDER_UNAVAILABLE");
    }
    expect(calls()).toBe(3);
    expect(guarded.breakers()[0]!.state).toBe("open");
    expect(await thrownBy(() => guarded.encrypt(randomBytes(32), context))).toBeKmsError("PROVIDER_UNAVAILABLE");
  });

  it("asks the provider nothing for describe either while it is open", async () => {
    let described = 0;
    const provider = {
      ...failing("PROVIDER_UNAVAILABLE").provider,
      async describe() {
        described += 1;
        return { state: "enabled", detail: "" } as const;
      },
    };
    const guarded = resilient(provider, { ...options, breakAfter: 1 });
    await thrownBy(() => guarded.decrypt(randomBytes(60), context));
    expect(await thrownBy(() => guarded.describe())).toBeKmsError("PROVIDER_UNAVAILABLE", "paused");
    expect(described).toBe(0);
  });

  it.each<KmsErrorCode>(["CIPHERTEXT_REJECTED", "INVALID_ARGUMENT"])("is not opened by %s", async (code) => {
    const { provider, calls } = failing(code);
    const guarded = resilient(provider, options);
    for (let i = 0; i < 10; i += 1) await thrownBy(() => guarded.decrypt(randomBytes(60), context));
    expect(calls()).toBe(10);
    expect(guarded.breakers()[0]!.state).toBe("closed");
  });

  it("is not opened by callers that go away", async () => {
    const { provider } = gated();
    const guarded = resilient(provider, options);
    for (let i = 0; i < 10; i += 1) {
      const caller = new AbortController();
      const call = guarded.encrypt(randomBytes(32), context, caller.signal);
      await turn();
      caller.abort();
      expect(await thrownBy(() => call)).toBeKmsError("CANCELLED");
    }
    expect(guarded.breakers()[0]!.state).toBe("closed");
  });

  /** From the opening of a breaker to its probe, and from one that fails to the next, by a fifth more at most. */
  const [probeMs, latestProbeMs] = [1_000, 1_200];

  /** A provider that is down until told otherwise, under a breaker that three failures open. */
  function outage(more: Partial<ResilienceOptions> = {}) {
    const time = manualTime();
    const local = localProvider(randomMasterKey());
    const provider = { health: "down" as "down" | "up" | "describes", described: 0, encrypted: 0 };
    const answer = async <T>(isUp: boolean, work: () => Promise<T>) => {
      if (!isUp) throw new KmsError("PROVIDER_UNAVAILABLE", "down");
      return work();
    };
    const guarded = resilient(
      changed({
        encrypt(...given) {
          provider.encrypted += 1;
          return answer(provider.health === "up", () => local.encrypt(...given));
        },
        describe(signal) {
          provider.described += 1;
          return answer(provider.health !== "down", () => local.describe(signal));
        },
      }),
      { ...options, ...more, time, breakAfter: 3, probeMs },
    );
    onTestFinished(() => guarded.close());
    const encrypt = () => guarded.encrypt(randomBytes(32), context);
    return { time, provider, guarded, encrypt, state: () => guarded.breakers()[0]!.state };
  }

  it("is not opened by more callers than a slow provider can serve in their time", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const local = localProvider(randomMasterKey());
    const slow = changed({
      async encrypt(...given) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return local.encrypt(...given);
      },
    });
    const guarded = resilient(slow, { time: realTime, breakAfter: 3, totalTimeoutMs: 200, attemptTimeoutMs: 100 });
    const calls = Array.from({ length: 1_000 }, () => guarded.encrypt(randomBytes(32), context));
    const settled = Promise.allSettled(calls);
    await vi.advanceTimersByTimeAsync(200);
    const failed = (await settled).filter(({ status }) => status === "rejected");
    expect(failed.length).toBeGreaterThan(0);
    for (const { reason } of failed as PromiseRejectedResult[]) {
      expect(reason).toBeKmsError("PROVIDER_UNAVAILABLE", "did not answer in time");
    }
    expect(guarded.breakers()[0]!.state).toBe("closed");
  });

  it("is closed by a describe that answers, and by no call of anyone's", async () => {
    const { time, provider, encrypt, state } = outage();
    for (let i = 0; i < 3; i += 1) await thrownBy(encrypt);
    expect(state()).toBe("open");
    await time.advance(probeMs - 1);
    expect(provider.described).toBe(0);
    await time.advance(3 * latestProbeMs - probeMs + 1);
    expect(provider.described).toBe(3);
    expect(provider.encrypted).toBe(3);
    provider.health = "up";
    await thrownBy(encrypt);
    await time.advance(latestProbeMs);
    expect(state()).toBe("closed");
    await encrypt();
    expect(provider.encrypted).toBe(4);
  });

  it("is closed by a describe that answers, although the wall clock was set back since it opened", async () => {
    vi.useFakeTimers({ toFake: ["Date"] }); // which cockatiel's breaker reads
    const { time, provider, encrypt, state } = outage();
    for (let i = 0; i < 3; i += 1) await thrownBy(encrypt);
    expect(state()).toBe("open");
    vi.setSystemTime(msFromNow(-3_600_000));
    provider.health = "up";
    await time.advance(latestProbeMs);
    expect(state()).toBe("closed");
  });

  it("tells of each change", async () => {
    const told: string[] = [];
    const { time, provider, encrypt } = outage({
      observeBreaker: ({ name, state }) => told.push(`${name} ${state}`),
    });
    for (let i = 0; i < 3; i += 1) await thrownBy(encrypt);
    expect(told).toEqual(["local open"]);
    provider.health = "up";
    await time.advance(latestProbeMs);
    expect(told).toEqual(["local open", "local half-open", "local closed"]);
  });

  it("is opened by one failure after a probe closed it, until a call succeeded", async () => {
    const { time, provider, encrypt, state } = outage();
    for (let i = 0; i < 3; i += 1) await thrownBy(encrypt);
    provider.health = "describes";
    await time.advance(latestProbeMs);
    expect(state()).toBe("closed");
    await thrownBy(encrypt);
    expect(state()).toBe("open");
    provider.health = "up";
    await time.advance(latestProbeMs);
    expect(state()).toBe("closed");
    await encrypt();
    provider.health = "down";
    await thrownBy(encrypt);
    expect(state()).toBe("closed");
  });

  it("is closed by an answer that says no", async () => {
    const time = manualTime();
    const { provider, calls } = failing("PROVIDER_UNAVAILABLE");
    const describe = () => Promise.reject(new KmsError("PROVIDER_DENIED", "disabled"));
    const guarded = resilient({ ...provider, describe }, { ...options, time, probeMs });
    for (let i = 0; i < 3; i += 1) await thrownBy(() => guarded.decrypt(randomBytes(60), context));
    await time.advance(latestProbeMs);
    expect(guarded.breakers()[0]!.state).toBe("closed");
    expect(calls()).toBe(3);
    await guarded.close();
  });

  it("lets no call through that had waited for its turn when it opened", async () => {
    const { provider, waiting } = gated();
    const guarded = resilient(provider, { ...options, maxInFlight: 3, attemptTimeoutMs: 5 });
    const calls = Array.from({ length: 20 }, () => guarded.encrypt(randomBytes(32), context));
    await Promise.allSettled(calls);
    expect(waiting.length).toBeLessThan(6); // two slots are free before the third failure is counted
    expect(guarded.breakers()[0]!.state).toBe("open");
  });

  it("tries no more after close", async () => {
    const { time, provider, guarded, encrypt } = outage();
    for (let i = 0; i < 3; i += 1) await thrownBy(encrypt);
    await guarded.close();
    await time.advance(10 * latestProbeMs);
    expect([provider.described, time.timers()]).toEqual([0, 0]);
  });
});

describe("the retry budget", () => {
  it("is spent by retries, and earned by calls that succeed", async () => {
    let isDown = true;
    let calls = 0;
    const local = localProvider(randomMasterKey());
    const provider = changed({
      async encrypt(...given) {
        calls += 1;
        if (isDown) throw new KmsError("PROVIDER_UNAVAILABLE", "down");
        return local.encrypt(...given);
      },
    });
    const guarded = resilient(provider, { ...quick, maxRetries: 3, retryBudget: 4 });
    const encrypt = () => guarded.encrypt(randomBytes(32), context);
    const attempts = async () => {
      calls = 0;
      await encrypt().catch(() => {});
      return calls;
    };
    expect([await attempts(), await attempts(), await attempts()]).toEqual([4, 2, 1]);
    isDown = false;
    for (let i = 0; i < 11; i += 1) await encrypt();
    isDown = true;
    expect([await attempts(), await attempts()]).toEqual([2, 1]);
  });
});

describe("the bulkhead", () => {
  it("lets 20 calls through at once, and the others in order of arrival", async () => {
    const { provider, waiting } = gated();
    const guarded = resilient(provider, { time: realTime });
    const calls = Array.from({ length: 30 }, (_, i) => guarded.encrypt(Buffer.of(i), context));
    await turn();
    expect(waiting).toHaveLength(20);
    for (let i = 0; i < 30; i += 1) {
      waiting[i]!.open();
      await calls[i];
      await turn();
    }
    expect(waiting.map(({ id }) => id)).toEqual(Array.from({ length: 30 }, (_, i) => i));
  });

  it("lets a waiting caller go at once, and never calls the provider for it", async () => {
    const { provider, waiting } = gated();
    const guarded = resilient(provider, { time: realTime, maxInFlight: 1 });
    const first = guarded.encrypt(Buffer.of(1), context);
    const caller = new AbortController();
    const second = guarded.encrypt(Buffer.of(2), context, caller.signal);
    const third = guarded.encrypt(Buffer.of(3), context);
    await turn();
    caller.abort();
    expect(await thrownBy(() => second)).toBeKmsError("CANCELLED");
    waiting[0]!.open();
    await first;
    await turn();
    waiting[1]!.open();
    await third;
    expect(waiting.map(({ id }) => id)).toEqual([1, 3]);
  });

  it("does not hold up describe", async () => {
    const { provider, waiting } = gated();
    const guarded = resilient(provider, { time: realTime, maxInFlight: 1 });
    const first = guarded.encrypt(Buffer.of(1), context);
    expect((await guarded.describe()).state).toBe("enabled");
    waiting[0]!.open();
    await first;
  });
});

describe("timeouts", () => {
  it("ends an attempt that gets no answer, and tries again", async () => {
    const { provider, waiting } = gated();
    const guarded = resilient(provider, { ...quick, attemptTimeoutMs: 5, maxRetries: 2 });
    const error = await thrownBy(() => guarded.encrypt(randomBytes(32), context));
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "did not answer in time");
    expect(waiting).toHaveLength(3);
  });

  it("ends a call whose whole time is up, a silent provider's too", async () => {
    const deaf = changed({ encrypt: () => new Promise(() => {}), describe: () => new Promise(() => {}) });
    const guarded = resilient(deaf, { time: realTime, totalTimeoutMs: 5, attemptTimeoutMs: 10 });
    const call = () => guarded.encrypt(randomBytes(32), context);
    expect(await thrownBy(call)).toBeKmsError("PROVIDER_UNAVAILABLE", "did not answer in time");
    expect(await thrownBy(() => guarded.describe())).toBeKmsError("PROVIDER_UNAVAILABLE", "did not answer in time");
  });

  it("counts a provider that never answers as unavailable", async () => {
    const { provider } = gated();
    const guarded = resilient(provider, { ...quick, attemptTimeoutMs: 2, maxRetries: 1, breakAfter: 2 });
    await thrownBy(() => guarded.encrypt(randomBytes(32), context));
    expect(guarded.breakers()[0]!.state).toBe("open");
  });
});

describe("distrust", () => {
  it.each([
    [0, "PROVIDER_UNAVAILABLE"],
    [31, "PROVIDER_DENIED"],
    [33, "PROVIDER_DENIED"],
  ] as const)("takes no data key of %i bytes, and overwrites it: %s", async (bytes, code) => {
    const plaintext = new Uint8Array(bytes).fill(7);
    const provider = resilient(
      changed({ generateDataKey: async () => ({ plaintext, wrapped: randomBytes(60) }) }),
      quick,
    );
    expect(await thrownBy(() => provider.generateDataKey(context))).toBeKmsError(code);
    expect(plaintext.every((byte) => byte === 0)).toBe(true);
  });

  it("takes no data key of zeros", async () => {
    const provider = resilient(
      changed({ generateDataKey: async () => ({ plaintext: new Uint8Array(32), wrapped: randomBytes(60) }) }),
      quick,
    );
    expect(await thrownBy(() => provider.generateDataKey(context))).toMatchObject({ lie: "zero-key" });
  });

  it("takes no data key twice, also from another place that serves the key, and overwrites it", async () => {
    const secret = randomBytes(32);
    const given: Uint8Array[] = [];
    const repeating = () =>
      changed({
        async generateDataKey() {
          given.push(Uint8Array.from(secret));
          return { plaintext: given.at(-1)!, wrapped: randomBytes(60) };
        },
      });
    const one = resilient(repeating(), quick);
    expect((await one.generateDataKey(context)).plaintext).toEqual(Uint8Array.from(secret));
    expect(await thrownBy(() => one.generateDataKey(context))).toMatchObject({ lie: "repeated-key" });
    expect(given.at(-1)).toEqual(new Uint8Array(32));

    let isAway = false;
    const first = repeating();
    const places = dependable(
      [
        {
          ...first,
          async generateDataKey(...call) {
            if (isAway) throw new KmsError("PROVIDER_UNAVAILABLE", "away");
            return first.generateDataKey(...call);
          },
        },
        repeating(),
      ],
      quick,
    );
    await places.generateDataKey(context);
    isAway = true;
    expect(await thrownBy(() => places.generateDataKey(context))).toMatchObject({ lie: "repeated-key" });
  });

  it.each<[string, (plaintext: Uint8Array) => Uint8Array]>([
    ["as it is", (plaintext) => Buffer.concat([randomBytes(20), plaintext, randomBytes(5)])],
    [
      "in base64",
      (plaintext) => Buffer.from(`vault:v1:${Buffer.concat([randomBytes(7), plaintext]).toString("base64")}`),
    ],
  ])("takes no wrapped key that has the key in it, %s", async (_what, wrap) => {
    const plaintext = randomBytes(32);
    const provider = resilient(
      changed({
        encrypt: async (given) => wrap(given),
        generateDataKey: async () => ({ plaintext: Uint8Array.from(plaintext), wrapped: wrap(plaintext) }),
      }),
      quick,
    );
    expect(await thrownBy(() => provider.encrypt(plaintext, context))).toMatchObject({ lie: "plaintext-inside" });
    expect(await thrownBy(() => provider.generateDataKey(context))).toMatchObject({ lie: "plaintext-inside" });
  });

  it("takes a wrapped key that has a short plaintext in it, as that may be chance", async () => {
    const provider = resilient(changed({ encrypt: async (given) => Buffer.concat([randomBytes(20), given]) }), quick);
    expect(await provider.encrypt(randomBytes(15), context)).toHaveLength(35);
  });

  it("opens nothing that was just wrapped to other bytes, and overwrites them", async () => {
    const other = randomBytes(32);
    const provider = resilient(changed({ decrypt: async () => other }), quick);
    for (const { wrapped } of [
      await provider.generateDataKey(context),
      { wrapped: await provider.encrypt(randomBytes(32), context) },
    ]) {
      other.fill(7);
      expect(await thrownBy(() => provider.decrypt(wrapped, context))).toMatchObject({ lie: "other-bytes" });
      expect(other.every((byte) => byte === 0)).toBe(true);
    }
    other.fill(7);
    expect(await provider.decrypt(randomBytes(60), context)).toBe(other); // nobody here knows what that was
  });

  it("asks no other time after a lie, and no other place, and opens no breaker for it", async () => {
    let calls = 0;
    const lying = changed({
      async generateDataKey() {
        calls += 1;
        return { plaintext: new Uint8Array(32), wrapped: randomBytes(60) };
      },
    });
    const provider = dependable([lying, lying], { ...quick, breakAfter: 2, maxRetries: 3 });
    for (let n = 1; n <= 5; n += 1) {
      expect(await thrownBy(() => provider.generateDataKey(context))).toBeKmsError("PROVIDER_DENIED");
      expect(calls).toBe(n);
    }
    expect(provider.breakers().map(({ state }) => state)).toEqual(["closed", "closed"]);
  });

  it("remembers no more than it needs to find a lie", async () => {
    const first = randomBytes(32);
    let made = 0;
    const provider = resilient(
      changed({
        generateDataKey: async () => ({
          plaintext: made++ % 1_001 === 0 ? Uint8Array.from(first) : randomBytes(32),
          wrapped: randomBytes(60),
        }),
      }),
      quick,
    );
    for (let n = 0; n <= 1_001; n += 1) await provider.generateDataKey(context);
    expect(made).toBe(1_002);
  });

  it.each([0, 8193])("takes no wrapped key of %i bytes", async (bytes) => {
    const wrapped = new Uint8Array(bytes);
    const provider = resilient(
      changed({
        encrypt: async () => wrapped,
        generateDataKey: async () => ({ plaintext: randomBytes(32), wrapped }),
      }),
      quick,
    );
    expect(await thrownBy(() => provider.encrypt(randomBytes(32), context))).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect(await thrownBy(() => provider.generateDataKey(context))).toBeKmsError("PROVIDER_UNAVAILABLE");
  });
});

describe("observe", () => {
  it("is told each call once, with its outcome and its attempts", async () => {
    const calls: ProviderCall[] = [];
    const observe = (call: ProviderCall) => calls.push(call);
    const { provider } = failing("PROVIDER_UNAVAILABLE");
    const guarded = resilient(provider, { ...quick, maxRetries: 2, observe });
    await guarded.generateDataKey(context);
    await guarded.encrypt(randomBytes(32), context);
    await thrownBy(() => guarded.decrypt(randomBytes(60), context));
    await thrownBy(() => guarded.encrypt(randomBytes(32), context, AbortSignal.abort()));
    await guarded.describe();
    expect(calls.map(({ operation, outcome, attempts }) => [operation, outcome, attempts])).toEqual([
      ["generate_data_key", "OK", 1],
      ["encrypt", "OK", 1],
      ["decrypt", "PROVIDER_UNAVAILABLE", 3],
      ["encrypt", "CANCELLED", 0],
      ["describe", "OK", 1],
    ]);
    expect(calls.every(({ seconds }) => seconds >= 0 && seconds < 30)).toBe(true);
  });
});

it("tells of several breakers of one name the worst alone", () => {
  const one = (name: string, state: Breaker["state"]): Breaker => ({ name, state });
  const all = [
    one("aws/eu-west-1", "closed"),
    one("aws/eu-central-1", "open"),
    one("local", "closed"),
    one("aws/eu-west-1", "half-open"),
    one("aws/eu-central-1", "half-open"),
    one("local", "closed"),
  ];
  expect(worstBreakers(all)).toEqual([
    one("aws/eu-west-1", "half-open"),
    one("aws/eu-central-1", "open"),
    one("local", "closed"),
  ]);
});
