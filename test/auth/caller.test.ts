/** Callers under a policy: what they may do, as it stands in the policy in force at each call. */
import { describe, expect, it } from "vitest";
import { createCaller, type InForce } from "../../src/auth/caller.ts";
import { createMatcher } from "../../src/auth/policy/grants.ts";
import type { Identity } from "../../src/auth/policy/identity.ts";
import type { Role } from "../../src/call/roles.ts";
import { tenantOrAll } from "../../src/call/context.ts";
import type { KmsError } from "../../src/errors.ts";
import { thrownBy } from "../support/matchers.ts";
import {
  callerUnder,
  human,
  inForce,
  policyOf,
  prometheus,
  rule,
  trusted,
  workload,
} from "../support/policy-fixture.ts";

const jwt = (inner: string) => `{ jwt: { issuer: sso, ${inner} } }`;
const refusal = async (call: () => unknown) => (await thrownBy(call)) as KmsError;

/** All that a caller is told. */
const told = ({ code, message, metadata, violations, retryAfterMs, advice }: KmsError) =>
  JSON.stringify({ code, message, metadata, violations, retryAfterMs, advice });

describe("a caller", () => {
  it("has its identity's name", () => {
    expect(callerUnder(inForce(), prometheus).name).toBe("token:prometheus");
    expect(callerUnder(inForce(), workload("/a")).name).toBe("spiffe://example.org/a");
  });

  it("may do for a tenant what a rule gives, and is told the tenant", () => {
    const caller = callerUnder(inForce(rule({ roles: "[sign, verify]", tenants: "[acme]" })), prometheus);
    expect(caller.authorize("acme", "sign")).toBe("acme");
    expect(caller.has("verify", "acme")).toBe(true);
    expect(caller.rule("verify", "acme")).toBe("a");
    expect(tenantOrAll("acme", caller, "sign")).toBe("acme");
  });

  it("may do nothing else, and is told the role and not the tenant", async () => {
    const caller = callerUnder(inForce(rule()), prometheus);
    for (const [tenant, role] of [
      ["acme", "decrypt"],
      ["globex", "sign"],
    ] as const) {
      const error = await refusal(() => caller.authorize(tenant, role));
      expect(error).toBeKmsError("PERMISSION_DENIED");
      expect(error.message).toBe(`the caller may not ${role} for this tenant`);
      expect(error.metadata).toEqual({ role });
      expect(error.violations).toEqual([]);
      expect(caller.has(role, tenant)).toBe(false);
      expect(caller.rule(role, tenant)).toBeUndefined();
    }
  });

  it("needs a rule for every tenant where no tenant is named", async () => {
    const some = callerUnder(inForce(rule({ tenants: "[acme, globex-*]" })), prometheus);
    const error = await refusal(() => some.every("sign"));
    expect(error).toBeKmsError("PERMISSION_DENIED");
    expect(error.message).toBe("the caller may not sign for all tenants");
    expect(error.metadata).toEqual({ role: "sign" });
    expect((await refusal(() => tenantOrAll("", some, "sign"))).message).toBe(error.message);
    expect(some.has("sign")).toBe(false);
    expect(some.rule("sign")).toBeUndefined();

    const all = callerUnder(inForce(rule({ tenants: '"*"' })), prometheus);
    all.every("sign");
    expect(tenantOrAll("", all, "sign")).toBeUndefined();
    expect(all.has("sign")).toBe(true);
    expect(all.rule("sign")).toBe("a");
    expect(await refusal(() => all.every("verify"))).toBeKmsError("PERMISSION_DENIED");
  });

  it("is told first that an id has no form, whatever it may do", async () => {
    for (const policy of [inForce(), inForce(rule({ tenants: '"*"' }))]) {
      const caller = callerUnder(policy, prometheus);
      for (const id of ["", "Acme", "a/b", "*", "a".repeat(64), "acme\n", "__proto__"]) {
        expect(await refusal(() => caller.authorize(id, "sign"))).toBeKmsError("INVALID_ARGUMENT", "tenant_id");
      }
    }
  });

  it("attack 46: is told the same of a forbidden tenant, a neighbour and one that does not exist", async () => {
    const caller = callerUnder(inForce(rule({ tenants: "[acme, globex-*]" })), prometheus);
    const texts = new Set<string>();
    for (const tenant of ["acmex", "globex", "other", "no-such-tenant", "a".repeat(63)]) {
      texts.add(told(await refusal(() => caller.authorize(tenant, "sign"))));
    }
    expect([...texts]).toEqual([
      '{"code":"PERMISSION_DENIED","message":"the caller may not sign for this tenant","metadata":{"role":"sign"},"violations":[]}',
    ]);
  });

  it("attack 45: has no tenant but by its rules, whatever its claims are called", async () => {
    const policy = inForce(rule({ who: jwt("subject: u1") }));
    const caller = callerUnder(
      policy,
      human({ tenant: "globex", "x-tenant": "globex", roles: ["decrypt"], tenants: ["*"] }),
    );
    for (const role of ["sign", "decrypt"] as const) {
      expect(await refusal(() => caller.authorize("globex", role))).toBeKmsError("PERMISSION_DENIED");
    }
  });

  it("whom no rule matches has no grants and may do nothing", async () => {
    const caller = callerUnder(inForce(rule()), human());
    expect(caller.grants()).toEqual([]);
    expect(await refusal(() => caller.authorize("acme", "sign"))).toBeKmsError("PERMISSION_DENIED");
  });
});

describe("another policy in force", () => {
  it("attack 43: takes a role away at the next call, and gives others", async () => {
    let policy = inForce(rule({ roles: "[sign]" }));
    const caller = createCaller({ identity: prometheus, inForce: () => policy });
    expect(caller.authorize("acme", "sign")).toBe("acme");
    policy = inForce(rule({ roles: "[verify]" }));
    expect(await refusal(() => caller.authorize("acme", "sign"))).toBeKmsError("PERMISSION_DENIED");
    expect(caller.authorize("acme", "verify")).toBe("acme");
    policy = inForce();
    expect(caller.grants()).toEqual([]);
    expect(await refusal(() => caller.authorize("acme", "verify"))).toBeKmsError("PERMISSION_DENIED");
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
    const apart = [rule({ roles: "[decrypt]" }), rule({ name: "b", roles: "[destroy]" })];
    const off = { ...inForce(...apart), separation: false };
    let policy: InForce = off;
    const caller = createCaller({ identity: prometheus, inForce: () => policy });
    expect(caller.authorize("acme", "destroy")).toBe("acme");
    policy = inForce(...apart);
    expect(await refusal(() => caller.authorize("acme", "destroy"))).toBeKmsError("PERMISSION_DENIED");
    policy = off;
    expect(caller.authorize("acme", "destroy")).toBe("acme");
  });
});

describe("two tokens of one subject with different claims", () => {
  const rules = [
    rule({ name: "signers", who: jwt("subject: u1, claims: { roles: signer }"), tenants: "{ claim: t }" }),
    rule({
      name: "openers",
      who: jwt("subject: u1, claims: { roles: opener }"),
      roles: "[decrypt]",
      tenants: "{ claim: t }",
    }),
  ];
  const signer = human({ roles: ["signer"], t: "acme" });
  const opener = human({ roles: ["opener"], t: "globex" });
  const questions = (["sign", "decrypt"] as const).flatMap((role) =>
    (["acme", "globex"] as const).map((tenant) => [role, tenant] as const),
  );
  const allowed = (caller: ReturnType<typeof createCaller>) =>
    questions.filter(([role, tenant]) => caller.has(role, tenant)).map(([role, tenant]) => `${role} ${tenant}`);

  it.each([
    ["one before the other", [signer, opener]],
    ["the other before the one", [opener, signer]],
  ])("have each their own grants, %s, with a reload in between", (_order, identities) => {
    let policy = inForce(...rules);
    const callers = new Map<Identity, ReturnType<typeof createCaller>>();
    for (const identity of identities) {
      callers.set(identity, createCaller({ identity, inForce: () => policy }));
      expect(allowed(callers.get(identity)!)).toEqual(identity === signer ? ["sign acme"] : ["decrypt globex"]);
      policy = inForce(...rules);
    }
    for (const round of [identities, identities.toReversed()]) {
      for (const identity of round) {
        expect(callers.get(identity)!.name).toBe("jwt:sso:u1");
        expect(allowed(callers.get(identity)!)).toEqual(identity === signer ? ["sign acme"] : ["decrypt globex"]);
      }
      policy = inForce(...rules);
    }
  });
});

describe("attack 52: roles that must be apart, and that rules add up to", () => {
  const mixedIn: [string, Role][] = [];
  const callerOf = (...rules: string[]) => {
    mixedIn.length = 0;
    const policy = inForce(...rules);
    return createCaller({
      identity: prometheus,
      inForce: () => policy,
      mixed: (name, role) => mixedIn.push([name, role]),
    });
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
      const error = await refusal(() => caller.authorize(tenant, refused));
      expect(error).toBeKmsError("PERMISSION_DENIED");
      expect(error.message).toBe(`the caller may not ${refused} for this tenant`);
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
    const one = callerOf(
      rule({ roles: "[decrypt]", tenants: "[acme]" }),
      rule({ name: "b", roles: "[destroy]", tenants: '"*"' }),
    );
    expect(await refusal(() => one.authorize("acme", "destroy"))).toBeKmsError("PERMISSION_DENIED");
    expect(one.authorize("globex", "destroy")).toBe("globex");
    expect((await refusal(() => one.every("destroy"))).message).toBe("the caller may not destroy for all tenants");
    const all = callerOf(
      rule({ roles: "[decrypt]", tenants: '"*"' }),
      rule({ name: "b", roles: "[destroy]", tenants: "[acme]" }),
    );
    expect(await refusal(() => all.authorize("acme", "destroy"))).toBeKmsError("PERMISSION_DENIED");
  });

  it("leave every other pair together", () => {
    const caller = callerOf(
      rule({ roles: "[encrypt, re-encrypt, sign, key-admin]" }),
      rule({ name: "b", roles: "[destroy, generate-data-key]" }),
    );
    expect(caller.authorize("acme", "destroy")).toBe("acme");
    expect(
      callerOf(rule({ roles: "[decrypt]" }), rule({ name: "b", roles: "[mark-compromised]" })).has(
        "mark-compromised",
        "acme",
      ),
    ).toBe(true);
    expect(mixedIn).toEqual([]);
  });

  it("need no listener", async () => {
    const policy = inForce(rule({ roles: "[decrypt]" }), rule({ name: "b", roles: "[destroy]" }));
    expect(await refusal(() => callerUnder(policy, prometheus).authorize("acme", "destroy"))).toBeKmsError(
      "PERMISSION_DENIED",
    );
  });
});

it("a policy whose rules all match one caller is asked by it alone", () => {
  const { rules } = policyOf(trusted + rule() + rule({ name: "b", tenants: "[globex]" }));
  const policy: InForce = { separation: true, grantsOf: createMatcher(rules) };
  expect(
    callerUnder(policy, prometheus)
      .grants()
      .map(({ rule: name }) => name),
  ).toEqual(["a", "b"]);
  expect(callerUnder(policy, { kind: "token", token: "other" }).grants()).toEqual([]);
});
