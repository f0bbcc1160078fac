/** Callers under a policy: what they may do, as it stands in the policy in force at each call. */
import { describe, expect, it } from "vitest";
import { createCaller, type InForce } from "../../src/auth/caller.ts";
import { tenantOrAll } from "../../src/call/context.ts";
import type { Role } from "../../src/call/roles.ts";
import type { KmsError } from "../../src/errors.ts";
import { thrownBy } from "../support/matchers.ts";
import { callerUnder, human, inForce, prometheus, rule } from "../support/policy-fixture.ts";

const jwt = (inner: string) => `{ jwt: { issuer: sso, ${inner} } }`;

/** All that a caller is told. */
async function told(call: () => unknown) {
  const { code, message, metadata, violations, retryAfterMs, advice } = (await thrownBy(call)) as KmsError;
  return { code, message, metadata, violations, retryAfterMs, advice };
}
const denied = (role: Role, where = "for this tenant") => ({
  code: "PERMISSION_DENIED",
  message: `the caller may not ${role} ${where}`,
  metadata: { role },
  violations: [],
});
const forAll = "for all tenants";

describe("a caller", () => {
  it("may do for a tenant what a rule gives, and is told the tenant", () => {
    const caller = callerUnder(inForce(rule({ roles: "[sign, verify]", tenants: "[acme]" })), prometheus);
    expect(caller.name).toBe("token:prometheus");
    expect(caller.authorize("acme", "sign")).toBe("acme");
    expect(caller.has("verify", "acme")).toBe(true);
    expect(caller.rule("verify", "acme")).toBe("a");
    expect(tenantOrAll("acme", caller, "sign")).toBe("acme");
  });

  it.each<[tenant: string, role: Role]>([
    ["acme", "decrypt"],
    // attack 46: a forbidden tenant, its neighbours and one that does not exist are the same.
    ...["acmex", "globex", "other", "no-such-tenant", "a".repeat(63)].map((tenant): [string, Role] => [tenant, "sign"]),
  ])("may do nothing else, and is told the role and not the tenant: %s, %s", async (tenant, role) => {
    const caller = callerUnder(inForce(rule({ tenants: "[acme, globex-*]" })), prometheus);
    expect(await told(() => caller.authorize(tenant, role))).toEqual(denied(role));
    expect(caller.has(role, tenant)).toBe(false);
    expect(caller.rule(role, tenant)).toBeUndefined();
  });

  it("needs a rule for every tenant where no tenant is named", async () => {
    const some = callerUnder(inForce(rule({ tenants: "[acme, globex-*]" })), prometheus);
    expect(await told(() => some.every("sign"))).toEqual(denied("sign", forAll));
    expect(await told(() => tenantOrAll("", some, "sign"))).toEqual(denied("sign", forAll));
    expect([some.has("sign"), some.rule("sign")]).toEqual([false, undefined]);

    const all = callerUnder(inForce(rule({ tenants: '"*"' })), prometheus);
    all.every("sign");
    expect(tenantOrAll("", all, "sign")).toBeUndefined();
    expect([all.has("sign"), all.rule("sign")]).toEqual([true, "a"]);
    expect(await told(() => all.every("verify"))).toEqual(denied("verify", forAll));
  });

  it("is told first that an id has no form, whatever it may do", async () => {
    for (const policy of [inForce(), inForce(rule({ tenants: '"*"' }))]) {
      const caller = callerUnder(policy, prometheus);
      for (const id of ["", "Acme", "a/b", "*", "a".repeat(64), "acme\n", "__proto__"]) {
        expect(await thrownBy(() => caller.authorize(id, "sign"))).toBeKmsError("INVALID_ARGUMENT", "tenant_id");
      }
    }
  });

  it("attack 45: has no tenant but by its rules, whatever its claims are called", async () => {
    const claims = { tenant: "globex", "x-tenant": "globex", roles: ["decrypt"], tenants: ["*"] };
    const caller = callerUnder(inForce(rule({ who: jwt("subject: u1") })), human(claims));
    for (const role of ["sign", "decrypt"] as const) {
      expect(await told(() => caller.authorize("globex", role))).toEqual(denied(role));
    }
  });

  it("whom no rule matches has no grants and may do nothing", async () => {
    const caller = callerUnder(inForce(rule()), human());
    expect(caller.grants()).toEqual([]);
    expect(await told(() => caller.authorize("acme", "sign"))).toEqual(denied("sign"));
  });
});

describe("another policy in force", () => {
  it("attack 43: takes a role away at the next call, and gives others", async () => {
    let policy = inForce(rule({ roles: "[sign]" }));
    const caller = createCaller({ identity: prometheus, inForce: () => policy });
    expect(caller.authorize("acme", "sign")).toBe("acme");
    policy = inForce(rule({ roles: "[verify]" }));
    expect(await told(() => caller.authorize("acme", "sign"))).toEqual(denied("sign"));
    expect(caller.authorize("acme", "verify")).toBe("acme");
    policy = inForce();
    expect(caller.grants()).toEqual([]);
    expect(await told(() => caller.authorize("acme", "verify"))).toEqual(denied("verify"));
    policy = inForce(rule({ name: "again", tenants: '"*"' }));
    caller.every("sign");
    expect(caller.rule("sign", "acme")).toBe("again");
  });

  it("has grants made once for each caller, and not at each call", () => {
    let made = 0;
    const counted = ({ separation, grantsOf }: InForce): InForce => ({
      separation,
      grantsOf(identity) {
        made += 1;
        return grantsOf(identity);
      },
    });
    let policy = counted(inForce(rule()));
    const caller = createCaller({ identity: prometheus, inForce: () => policy });
    for (let call = 0; call < 10; call += 1) caller.authorize("acme", "sign");
    expect(made).toBe(1);
    policy = counted(inForce(rule()));
    for (let call = 0; call < 10; call += 1) expect(caller.has("sign", "acme")).toBe(true);
    expect(made).toBe(2);
  });

  it("may turn separation on and off", async () => {
    const apart = inForce(rule({ roles: "[decrypt]" }), rule({ name: "b", roles: "[destroy]" }));
    const off = { ...apart, separation: false };
    let policy = off;
    const caller = createCaller({ identity: prometheus, inForce: () => policy });
    expect(caller.authorize("acme", "destroy")).toBe("acme");
    policy = apart;
    expect(await told(() => caller.authorize("acme", "destroy"))).toEqual(denied("destroy"));
    policy = off;
    expect(caller.authorize("acme", "destroy")).toBe("acme");
  });

  it("leaves two tokens of one subject with different claims their own grants, in either order", () => {
    const tenants = "{ claim: t }";
    const rules = [
      rule({ name: "signers", who: jwt("subject: u1, claims: { roles: signer }"), tenants }),
      rule({ name: "openers", who: jwt("subject: u1, claims: { roles: opener }"), roles: "[decrypt]", tenants }),
    ];
    const claims = { signer: { roles: ["signer"], t: "acme" }, opener: { roles: ["opener"], t: "globex" } };
    for (const order of [["signer", "opener"] as const, ["opener", "signer"] as const]) {
      let policy = inForce(...rules);
      const callers = order.map((each) => createCaller({ identity: human(claims[each]), inForce: () => policy }));
      for (let round = 0; round < 3; round += 1) {
        for (const [at, { name, has }] of callers.entries()) {
          expect(name).toBe("jwt:sso:u1");
          const given = [has("sign", "acme"), has("sign", "globex"), has("decrypt", "acme"), has("decrypt", "globex")];
          expect(given).toEqual(order[at] === "signer" ? [true, false, false, false] : [false, false, false, true]);
        }
        policy = inForce(...rules);
      }
    }
  });
});

/** Which roles may be together, over random policies, explain.test.ts asks. */
describe("attack 52: roles that must be apart, and that rules add up to", () => {
  const mixedIn: [string, Role][] = [];
  const callerOf = (...rules: string[]) => {
    mixedIn.length = 0;
    const policy = inForce(...rules);
    const mixed = (name: string, role: Role) => mixedIn.push([name, role]);
    return createCaller({ identity: prometheus, inForce: () => policy, mixed });
  };

  it.each<[some: Role, refused: Role]>([
    ["decrypt", "destroy"],
    ["decrypt-data-key", "destroy"],
    ["break-glass", "destroy"],
    ["sign", "mark-compromised"],
  ])("%s and %s: the second is refused for tenants of both", async (some, refused) => {
    const caller = callerOf(
      rule({ roles: `[${some}]`, tenants: "[both, one, pre-a]" }),
      rule({ name: "b", roles: `[${refused}]`, tenants: "[both, two, pre-*]" }),
    );
    for (const tenant of ["both", "pre-a"]) {
      expect(await told(() => caller.authorize(tenant, refused))).toEqual(denied(refused));
      expect(caller.has(refused, tenant)).toBe(false);
      expect(caller.rule(refused, tenant)).toBeUndefined();
    }
    expect(mixedIn[0]).toEqual(["token:prometheus", refused]);
    expect(new Set(mixedIn.map(String)).size).toBe(1);
    for (const tenant of ["two", "pre-b"]) expect(caller.authorize(tenant, refused)).toBe(tenant);
    for (const tenant of ["both", "one", "pre-a"]) expect(caller.authorize(tenant, some)).toBe(tenant);
  });

  it("are told of only where the refused one would have been given", () => {
    const caller = callerOf(rule({ roles: "[decrypt]", tenants: '"*"' }));
    expect(caller.has("destroy", "acme")).toBe(false);
    expect(caller.authorize("acme", "decrypt")).toBe("acme");
    expect(mixedIn).toEqual([]);
  });

  it("are apart where one of them is for every tenant", async () => {
    const caller = callerOf(
      rule({ roles: "[decrypt]", tenants: "[acme]" }),
      rule({ name: "b", roles: "[destroy]", tenants: '"*"' }),
    );
    expect(await told(() => caller.authorize("acme", "destroy"))).toEqual(denied("destroy"));
    expect(caller.authorize("globex", "destroy")).toBe("globex");
    expect(await told(() => caller.every("destroy"))).toEqual(denied("destroy", forAll));
  });
});
