/** The token that all calls share: when another is asked for, and who waits for it. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { KmsError } from "../../../src/errors.ts";
import type { GcpToken } from "../../../src/provider/gcp/credentials.ts";
import { gcpTokens } from "../../../src/provider/gcp/tokens.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { msFromNow } from "../../support/from-now.ts";
import { thrownBy } from "../../support/matchers.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const hourMs = 3_600_000;
const token = (name: string): GcpToken => ({
  headers: { authorization: name },
  expiresAtMs: msFromNow(hourMs),
});

/** A source that is answered by hand. */
function source() {
  const asked: { resolve(token: GcpToken): void; reject(error: unknown): void; signal: AbortSignal }[] = [];
  const tokens = gcpTokens((signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<GcpToken>();
    signal.addEventListener("abort", () => reject(signal.reason));
    asked.push({ resolve, reject, signal });
    return promise;
  }, realTime);
  return { asked, tokens };
}

async function withToken() {
  const { asked, tokens } = source();
  const first = token("first");
  const got = tokens.get();
  asked[0]!.resolve(first);
  expect(await got).toBe(first);
  return { asked, tokens, first };
}

it("is asked for once, by whoever comes first, and a caller that leaves does not take it from the others", async () => {
  const { asked, tokens } = source();
  const caller = new AbortController();
  const calls = [tokens.get(), tokens.get(caller.signal), tokens.get()];
  caller.abort();
  expect(await thrownBy(() => calls[1])).toBeKmsError("CANCELLED");
  const one = token("one");
  asked[0]!.resolve(one);
  expect(await Promise.all([calls[0], calls[2], tokens.get()])).toEqual([one, one, one]);
  expect(asked).toHaveLength(1);
});

it("is renewed before it ends, and nobody waits", async () => {
  const { asked, tokens, first } = await withToken();
  vi.advanceTimersByTime(hourMs - 230_000);
  expect(await tokens.get()).toBe(first);
  expect(asked).toHaveLength(1);
  vi.advanceTimersByTime(10_000);
  expect(await tokens.get()).toBe(first);
  expect(await tokens.get()).toBe(first);
  expect(asked).toHaveLength(2);
  const second = token("second");
  asked[1]!.resolve(second);
  await vi.advanceTimersByTimeAsync(0);
  expect(await tokens.get()).toBe(second);
});

it("is used to its end where there is no other, which is asked for every ten seconds", async () => {
  const { asked, tokens, first } = await withToken();
  vi.advanceTimersByTime(hourMs - 100_000);
  for (let tries = 1; tries <= 8; tries += 1) {
    expect(await tokens.get()).toBe(first);
    expect(asked).toHaveLength(1 + tries);
    asked[tries]!.reject(Object.assign(new Error("away"), { code: "ECONNREFUSED" }));
    await vi.advanceTimersByTimeAsync(0);
    expect(await tokens.get()).toBe(first);
    expect(asked).toHaveLength(1 + tries);
    vi.advanceTimersByTime(10_000);
  }
  vi.advanceTimersByTime(20_000);
  const waits = thrownBy(() => tokens.get());
  asked.at(-1)!.reject(Object.assign(new Error("away"), { code: "ECONNREFUSED" }));
  expect(await waits).toBeKmsError("PROVIDER_UNAVAILABLE", "ECONNREFUSED");
});

it("that is refused is not asked for again for a second", async () => {
  const { asked, tokens } = source();
  const refused = new KmsError("PROVIDER_DENIED", "no");
  const first = thrownBy(() => tokens.get());
  asked[0]!.reject(refused);
  expect(await first).toBe(refused);
  vi.advanceTimersByTime(900);
  expect(await thrownBy(() => tokens.get())).toBe(refused);
  expect(asked).toHaveLength(1);
  vi.advanceTimersByTime(200);
  const got = tokens.get();
  const one = token("one");
  asked[1]!.resolve(one);
  expect(await got).toBe(one);
});

it("that does not come is given up after five seconds, its request too, and the next call asks anew", async () => {
  const { asked, tokens } = source();
  const late = thrownBy(() => tokens.get());
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await late).toBeKmsError("PROVIDER_UNAVAILABLE", "no access token in time");
  expect(asked[0]!.signal.aborted).toBe(true);
  const got = tokens.get();
  const one = token("one");
  asked[1]!.resolve(one);
  expect(await got).toBe(one);
});

it("that was dropped is asked for anew, and one that is not in use any more drops nothing", async () => {
  const { asked, tokens, first } = await withToken();
  tokens.drop(token("another"));
  expect(await tokens.get()).toBe(first);
  tokens.drop(first);
  const got = tokens.get();
  const second = token("second");
  asked[1]!.resolve(second);
  expect(await got).toBe(second);
  tokens.drop(first);
  expect(await tokens.get()).toBe(second);
});

it("is not waited for after the end", async () => {
  const { tokens } = source();
  const waits = thrownBy(() => tokens.get());
  tokens.close();
  expect(await waits).toBeKmsError("PROVIDER_UNAVAILABLE", "closed");
});

it("tells when the one in use ends, and when it was got", async () => {
  const { asked, tokens, first } = await withToken();
  const gotAt = new Date();
  expect(tokens.credential()).toEqual({ since: gotAt, until: new Date(first.expiresAtMs) });
  vi.advanceTimersByTime(hourMs - 200_000);
  await tokens.get();
  expect(tokens.credential()!.since).toEqual(gotAt);
  const second = token("second");
  asked[1]!.resolve(second);
  await vi.advanceTimersByTimeAsync(0);
  expect(tokens.credential()).toEqual({ since: new Date(), until: new Date(second.expiresAtMs) });
  tokens.drop(second);
  expect(tokens.credential()).toBeUndefined();
});
