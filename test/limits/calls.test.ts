/** Limits of calls, by callers of a policy on a clock of the test's own. */
import { describe, expect, it } from "vitest";
import { createCaller } from "../../src/auth/caller.ts";
import { createMatcher } from "../../src/auth/policy/grants.ts";
import { readPolicy } from "../../src/auth/policy/policy.ts";
import { createCallLimiter, unitsOf } from "../../src/limits/calls.ts";
import { thrownBy } from "../support/matchers.ts";
import { tokenPolicy, type TokenRule } from "../support/token-policy.ts";

interface Limits {
  caller?: number;
  tenant?: number;
}

function setUp(rules: Record<string, TokenRule>, { caller = 0, tenant = 0 }: Limits = {}) {
  const time = { ms: 1_000 };
  const acted: unknown[] = [];
  const limiter = createCallLimiter({
    callsPerSecond: caller,
    tenantCallsPerSecond: tenant,
    now: () => time.ms,
    limitLog: { acted: (limit, { who, by }) => acted.push([limit, who, by]) },
  });
  const inForce = (given: Record<string, TokenRule>) => {
    const { policy } = readPolicy(tokenPolicy(given).text);
    return { separation: true, grantsOf: createMatcher(policy!.rules) };
  };
  let policy = inForce(rules);
  return {
    time,
    acted,
    /** Another credential of the caller each time. */
    caller: (name: string) =>
      createCaller({ identity: { kind: "token", token: name }, inForce: () => policy, limiter }),
    load: (given: Record<string, TokenRule>) => {
      policy = inForce(given);
    },
  };
}

const sign = { roles: ["sign"] };
const limited = { code: "RATE_LIMITED", message: "too many calls: wait" };

/** Calls that are let in before one is not, at most 1,000. */
function most(call: () => unknown): number {
  for (let n = 0; n < 1_000; n += 1) {
    try {
      call();
    } catch {
      return n;
    }
  }
  return 1_000;
}

describe("the limit of a caller", () => {
  it("is the setting's, with 2 s of it at once, and says when the next call fits", async () => {
    const { caller, time, acted } = setUp({ a: sign }, { caller: 5 });
    const a = caller("a");
    expect(most(() => a.limits!.call(false))).toBe(10);
    expect(await thrownBy(() => a.limits!.call(false))).toMatchObject({ ...limited, retryAfterMs: 200 });
    time.ms += 200;
    expect(most(() => a.limits!.call(false))).toBe(1);
    expect(acted[0]).toEqual(["caller", "token:a", "fluo.kms.limit.caller"]);
  });

  it("is none if neither the setting nor a rule has one", () => {
    const { caller, acted } = setUp({ a: sign });
    expect(most(() => caller("a").limits!.call(false))).toBe(1_000);
    expect(acted).toEqual([]);
  });

  it.each([0, 100])("is its rule's in place of the setting's %i", (setting) => {
    const { caller, acted } = setUp({ a: { ...sign, limit: 3 }, b: sign }, { caller: setting });
    expect(most(() => caller("a").limits!.call(false))).toBe(6);
    expect(acted).toEqual([["caller", "token:a", "the limit of rule a"]]);
    expect(most(() => caller("b").limits!.call(false))).toBe(setting === 0 ? 1_000 : 200);
  });

  it("is the largest of its rules', and another's once the policy has another", () => {
    const text = `version: 1
tokens: [{ name: a, sha256: ${"ab".repeat(32)}, expires: 2099-01-01 }]
rules:
  - { name: one, who: { token: a }, roles: [sign], tenants: [acme], limit: 2 }
  - { name: two, who: { token: a }, roles: [verify], tenants: [acme], limit: 4 }
  - { name: three, who: { token: a }, roles: [status], tenants: [acme] }
`;
    const { caller, load, acted, time } = setUp({ a: { ...sign, limit: 3 } }, { caller: 100 });
    const { policy } = readPolicy(text);
    const limiter = createCallLimiter({
      callsPerSecond: 100,
      tenantCallsPerSecond: 0,
      now: () => 0,
      limitLog: { acted: (limit, { by }) => acted.push([limit, by]) },
    });
    const inForce = () => ({ separation: true, grantsOf: createMatcher(policy!.rules) });
    const of = { identity: { kind: "token", token: "a" }, limiter } as const;
    const both = createCaller({
      ...of,
      inForce: (
        (one) => () =>
          one
      )(inForce()),
    });
    expect(most(() => both.limits!.call(false))).toBe(8);
    expect(acted).toEqual([["caller", "the limit of rule two"]]);

    const a = caller("a");
    expect(most(() => a.limits!.call(false))).toBe(6);
    load({ a: { ...sign, limit: 30 } });
    time.ms += 10_000;
    expect(most(() => a.limits!.call(false))).toBe(60);
    load({ a: sign });
    time.ms += 10_000;
    expect(most(() => a.limits!.call(false))).toBe(200);
  });

  it("is shared by all its credentials, and no other caller's", () => {
    const { caller } = setUp({ a: sign, b: sign }, { caller: 5 });
    const [first, second] = [caller("a"), caller("a")];
    for (let n = 0; n < 5; n += 1) first.limits!.call(false);
    expect(most(() => second.limits!.call(false))).toBe(5);
    expect(most(() => first.limits!.call(false))).toBe(0);
    expect(most(() => caller("b").limits!.call(false))).toBe(10);
  });

  it("is not asked of one that no rule names, which makes no calls", () => {
    const { caller } = setUp({ a: sign }, { caller: 5 });
    expect(most(() => caller("stranger").limits!.call(false))).toBe(1_000);
  });

  it("refuses no stream, which counts and is read later", async () => {
    const { caller, time, acted } = setUp({ a: sign }, { caller: 5 });
    const a = caller("a");
    for (let n = 0; n < 15; n += 1) a.limits!.call(true);
    expect(a.limits!.waitMs(undefined)).toBe(1_200);
    expect(acted).toEqual([["caller", "token:a", "fluo.kms.limit.caller"]]);
    expect(await thrownBy(() => a.limits!.call(false))).toMatchObject({ ...limited, retryAfterMs: 1_200 });
    time.ms += 1_200;
    expect(a.limits!.waitMs(undefined)).toBe(0);
  });
});

describe("the limit of a tenant", () => {
  it("is shared by all callers, and holds once a caller may name it", async () => {
    const { caller, acted, time } = setUp({ a: sign, b: { roles: ["sign"], tenants: "[other]" } }, { tenant: 2 });
    const [a, b] = [caller("a"), caller("b")];
    for (let n = 0; n < 100; n += 1) {
      expect(await thrownBy(() => b.authorize("acme", "sign"))).toBeKmsError("PERMISSION_DENIED");
      expect(await thrownBy(() => b.authorize("ACME", "sign"))).toBeKmsError("INVALID_ARGUMENT");
    }
    for (let n = 0; n < 4; n += 1) expect(a.authorize("acme", "sign")).toBe("acme");
    expect(await thrownBy(() => a.authorize("acme", "sign"))).toMatchObject({ ...limited, retryAfterMs: 500 });
    expect(await thrownBy(() => b.authorize("acme", "sign"))).toBeKmsError("PERMISSION_DENIED");
    expect(b.authorize("other", "sign")).toBe("other");
    expect(acted).toEqual([["tenant", "acme", "fluo.kms.limit.tenant"]]);
    time.ms += 500;
    expect(caller("a").authorize("acme", "sign")).toBe("acme");
  });

  it("refuses no message of a stream, which is read later", () => {
    const { caller } = setUp({ a: sign }, { tenant: 2 });
    const a = caller("a");
    for (let n = 0; n < 6; n += 1) {
      expect(a.authorize("acme", "sign", "message")).toBe("acme");
      a.limits!.spend("acme", 1);
    }
    expect(a.limits!.waitMs("acme")).toBe(1_500);
    expect(a.limits!.waitMs("globex")).toBe(0);
    expect(a.limits!.waitMs(undefined)).toBe(0);
  });
});

describe("items", () => {
  it.each([
    [0, 0],
    [1, 1],
    [100, 1],
    [101, 2],
    [1_000, 10],
  ])("%i cost %i units", (items, units) => {
    expect(unitsOf(items)).toBe(units);
  });

  it("are owed by caller and tenant beyond what is there", () => {
    const { caller, time } = setUp({ a: sign, b: sign }, { caller: 5, tenant: 10 });
    const a = caller("a");
    a.limits!.call(false);
    a.authorize("acme", "sign");
    a.limits!.spend("acme", unitsOf(1_000)); // 11 units of a limit with 10 at once
    expect(a.limits!.waitMs(undefined)).toBe(400);
    expect(most(() => caller("b").authorize("acme", "sign"))).toBe(9);
    time.ms += 400;
    a.limits!.call(false);
  });
});
