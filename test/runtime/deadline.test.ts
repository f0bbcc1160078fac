import { beforeEach, describe, expect, it, vi } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { abandonOn, cancelled, inTime, refuseAborted, withDeadline } from "../../src/runtime/deadline.ts";
import { thrownBy } from "../support/matchers.ts";
import { manualTime, type ManualTime } from "../../src/runtime/manual-time.ts";

let time: ManualTime;
beforeEach(() => {
  time = manualTime({ start: new Date("2026-01-01T00:00:00.000Z") });
});

const late = () => new KmsError("PROVIDER_UNAVAILABLE", "too late");
const never = new Promise<never>(() => {});

describe("a deadline", () => {
  it("gives what the work gives, at once or later, and leaves no timer", async () => {
    expect(await withDeadline(time, 10, late, () => "at once")).toBe("at once");
    expect(await withDeadline(time, 10, late, async () => "later")).toBe("later");
    expect(time.timers()).toBe(0);
  });

  it("throws what the work throws, and leaves no timer", async () => {
    const failing = () => {
      throw new KmsError("CONFLICT", "lost");
    };
    expect(await thrownBy(() => withDeadline(time, 10, late, failing))).toBeKmsError("CONFLICT", "lost");
    expect(await thrownBy(() => withDeadline(time, 10, late, async () => failing()))).toBeKmsError("CONFLICT", "lost");
    expect(time.timers()).toBe(0);
  });

  it("ends work that looks at no signal, not before its time, and passes over how that ends", async () => {
    const work = Promise.withResolvers<never>();
    const answer = withDeadline(time, 10, late, () => work.promise);
    const told = vi.fn();
    answer.catch(told);
    await time.advance(9);
    expect(told).not.toHaveBeenCalled();
    await time.advance(1);
    expect(await thrownBy(() => answer)).toBeKmsError("PROVIDER_UNAVAILABLE", "too late");
    work.reject(new Error("nobody hears of it"));
  });

  it("aborts the signal of the work with its own error, which no word of the work replaces", async () => {
    let reason: unknown;
    const answer = withDeadline(time, 10, late, (signal) => {
      const stopped = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => {
        reason = signal.reason;
        stopped.reject(new Error("aborted"));
      });
      return stopped.promise;
    });
    const thrown = thrownBy(() => answer);
    await time.advance(10);
    expect(await thrown).toBeKmsError("PROVIDER_UNAVAILABLE", "too late");
    expect(reason).toBe(await thrown);
  });

  it("makes its error only when it is needed", async () => {
    const error = vi.fn(late);
    await withDeadline(time, 10, error, () => "in time");
    await time.advance(20);
    expect(error).not.toHaveBeenCalled();
  });

  it("of three seconds ends a store's silence", async () => {
    const thrown = thrownBy(() => inTime(time, never));
    await time.advance(3_000);
    expect(await thrown).toBeKmsError("STORE_UNAVAILABLE", "no answer within 3 s");
    expect(await inTime(time, Promise.resolve("counts"))).toBe("counts");
  });
});

describe("a caller that goes away", () => {
  it("stops waiting, while the work goes on for the others", async () => {
    const work = Promise.withResolvers<string>();
    const caller = new AbortController();
    const left = abandonOn(caller.signal, work.promise);
    const stayed = abandonOn(new AbortController().signal, work.promise);
    caller.abort();
    expect(await thrownBy(() => left)).toBeKmsError("CANCELLED", "the call was cancelled");
    work.resolve("done");
    expect(await stayed).toBe("done");
  });

  it("gets nothing if it left before, though the work is done", async () => {
    expect(await thrownBy(() => abandonOn(AbortSignal.abort(), Promise.resolve("done")))).toBeKmsError("CANCELLED");
  });

  it("hears nothing of how the work fails", async () => {
    const work = Promise.withResolvers<never>();
    const caller = new AbortController();
    const left = abandonOn(caller.signal, work.promise);
    caller.abort(late());
    work.reject(new Error("too late to be told"));
    expect(await thrownBy(() => left)).toBeKmsError("PROVIDER_UNAVAILABLE", "too late");
  });

  it("without a signal waits for the work", async () => {
    const work = Promise.resolve("done");
    expect(abandonOn(undefined, work)).toBe(work);
  });

  it("is told the reason of an abort if that is an error of ours, and CANCELLED of any other", () => {
    expect(cancelled(AbortSignal.abort(late()))).toBeKmsError("PROVIDER_UNAVAILABLE", "too late");
    expect(cancelled(AbortSignal.abort(new Error("the socket closed")))).toBeKmsError("CANCELLED");
  });

  it("is refused once it is away, and not before", () => {
    expect(() => refuseAborted(AbortSignal.abort())).toThrow("the call was cancelled");
    expect(() => refuseAborted(undefined)).not.toThrow();
    expect(() => refuseAborted(new AbortController().signal)).not.toThrow();
  });
});
