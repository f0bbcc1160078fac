/** How often each of many may do something in a second. */
import { describe, expect, it } from "vitest";
import { rateLimit } from "../../src/runtime/rate-limit.ts";
import { thrownBy } from "../support/matchers.ts";

describe("a bound on how often each may do something", () => {
  it("admits so many at once and in each second, and says when another fits", async () => {
    let ms = 5_000;
    const admit = rateLimit(10, () => ms);
    for (let n = 0; n < 10; n += 1) admit("ann");
    expect(await thrownBy(() => admit("ann"))).toMatchObject({ code: "RATE_LIMITED", retryAfterMs: 100 });
    ms += 99;
    expect(await thrownBy(() => admit("ann"))).toMatchObject({ message: "too many calls: wait", retryAfterMs: 1 });
    ms += 1;
    admit("ann");
    expect(await thrownBy(() => admit("ann"))).toBeKmsError("RATE_LIMITED");
    ms += 60_000;
    for (let n = 0; n < 10; n += 1) admit("ann");
    expect(await thrownBy(() => admit("ann"))).toBeKmsError("RATE_LIMITED");
  });

  it.each([1, 3, 7, 9_999])("of %i admits as many, whatever its parts of a second are", async (perSecond) => {
    const admit = rateLimit(perSecond, () => 12_345.678);
    for (let n = 0; n < perSecond; n += 1) admit("ann");
    expect(await thrownBy(() => admit("ann"))).toBeKmsError("RATE_LIMITED");
  });

  it("is each caller's own", async () => {
    const admit = rateLimit(1, () => 0);
    admit("ann");
    expect(await thrownBy(() => admit("ann"))).toBeKmsError("RATE_LIMITED");
    admit("bob");
  });

  it("forgets who did it longest ago once there are too many to remember", async () => {
    const admit = rateLimit(1, () => 0);
    admit("first");
    admit("second");
    for (let n = 0; n < 9_999; n += 1) admit(`other-${n}`);
    admit("first");
    expect(await thrownBy(() => admit("other-9998"))).toBeKmsError("RATE_LIMITED");
  });

  it("remembers who did it lately, though it was the first of all", async () => {
    const admit = rateLimit(2, () => 0);
    admit("first");
    for (let n = 0; n < 9_999; n += 1) admit(`other-${n}`);
    admit("first");
    admit("one too many to remember");
    expect(await thrownBy(() => admit("first"))).toBeKmsError("RATE_LIMITED");
  });
});
