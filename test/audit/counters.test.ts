/** What is counted together, and what is told apart. Refusals have tests of their own. */
import { expect, it } from "vitest";
import { auditCounters, maxTenants } from "../../src/audit/counters.ts";
import { wallTime } from "../support/wall-time.ts";

const at = new Date("2026-01-01T00:00:00.000Z");
const key = (n: number) => n.toString(16).padStart(32, "0");

function setUp() {
  let due = 0;
  const onDue = () => {
    due += 1;
  };
  const time = wallTime(() => at);
  return { ...auditCounters(onDue, time), due: () => due };
}

it("counts uses together that are alike in caller, action and key", () => {
  const { used, take } = setUp();
  used("ann", "encrypt_pii", "acme", key(1), "data", 20);
  used("ann", "encrypt_pii", "acme", key(1), "data", 1);
  used("ann", "decrypt_pii", "acme", key(1), "data", 2);
  used("bob", "encrypt_pii", "acme", key(1), "data", 4);
  used("ann", "encrypt_pii", "acme", key(2), "data", 8);
  used("ann", "encrypt_pii", "acme", key(1), "data", 100);
  expect(take(at).map(({ actor, action, keyId, count }) => [actor, action, keyId, count])).toEqual([
    ["ann", "encrypt_pii", key(1), 121],
    ["ann", "encrypt_pii", key(2), 8],
    ["ann", "decrypt_pii", key(1), 2],
    ["bob", "encrypt_pii", key(1), 4],
  ]);
});

it("tells tenants apart where no key is meant", () => {
  const { used, take } = setUp();
  used("ann", "list_keys", "acme", "", undefined, 1);
  used("ann", "list_keys", "", "", undefined, 1);
  used("ann", "list_keys", "acme", "", undefined, 1);
  expect(take(at).map(({ tenantId, count }) => [tenantId, count])).toEqual([
    ["acme", 2],
    ["", 1],
  ]);
});

it("makes whole rows", () => {
  const { used, refused, take } = setUp();
  used("ann", "sign_span", "acme", key(1), "signing", 3);
  refused("bob", "sign_span", "acme", "", "PERMISSION_DENIED");
  const row = { at, action: "sign_span", tenantId: "acme", purpose: undefined, keyId: "", requestId: "", count: 1 };
  expect(take(at)).toEqual([
    { ...row, actor: "ann", purpose: "signing", keyId: key(1), outcome: "OK", count: 3 },
    { ...row, actor: "bob", outcome: "PERMISSION_DENIED" },
  ]);
});

it("starts again at nothing when what it has was taken, and says when something comes after nothing", () => {
  const { used, refused, take, due } = setUp();
  expect(take(at)).toEqual([]);
  used("ann", "sign_span", "acme", key(1), "signing", 1);
  refused("ann", "sign_span", "acme", key(1), "KEY_UNUSABLE");
  used("bob", "sign_span", "acme", key(1), "signing", 1);
  expect(due()).toBe(2);
  expect(take(at)).toHaveLength(3);
  expect(take(at)).toEqual([]);
  used("bob", "sign_span", "acme", key(1), "signing", 1);
  used("bob", "sign_span", "acme", key(1), "signing", 1);
  expect(due()).toBe(3);
  expect(take(at).map(({ count }) => count)).toEqual([2]);
});

it("tells a thousand tenants of a caller's looks apart, and counts those of the rest without", () => {
  const { used, take } = setUp();
  for (let n = 0; n < maxTenants + 5; n += 1) used("ann", "list_keys", `tenant-${n}`, "", undefined, 1);
  used("ann", "list_keys", "tenant-0", "", undefined, 1);
  used("bob", "list_keys", "acme", "", undefined, 1);
  const rows = take(at);
  expect(rows).toHaveLength(maxTenants + 2);
  expect(rows[0]).toMatchObject({ tenantId: "tenant-0", count: 2 });
  expect(rows.slice(maxTenants)).toMatchObject([
    { actor: "ann", tenantId: "", count: 5 },
    { actor: "bob", tenantId: "acme", count: 1 },
  ]);
});

it("tells uses and refusals apart by the rule that let the caller, and forgets none that alternate", () => {
  const { used, refused, take } = setUp();
  for (let n = 0; n < 3; n += 1) {
    used("ann", "encrypt_pii", "acme", key(1), "data", 1, "web");
    used("ann", "encrypt_pii", "acme", key(1), "data", 1, "ops");
    used("ann", "encrypt_pii", "acme", key(1), "data", 1);
    used("bob", "encrypt_pii", "acme", key(1), "data", 1, "web");
    refused("ann", "encrypt_pii", "acme", "", "KEY_UNUSABLE", 1, "web");
    refused("ann", "encrypt_pii", "acme", "", "KEY_UNUSABLE", 1, "ops");
    refused("ann", "encrypt_pii", "acme", "", "PERMISSION_DENIED");
  }
  expect(take(at).map(({ actor, rule, outcome, count }) => [actor, rule, outcome, count])).toEqual([
    ["ann", "web", "OK", 3],
    ["ann", "ops", "OK", 3],
    ["ann", undefined, "OK", 3],
    ["bob", "web", "OK", 3],
    ["ann", "web", "KEY_UNUSABLE", 3],
    ["ann", "ops", "KEY_UNUSABLE", 3],
    ["ann", undefined, "PERMISSION_DENIED", 3],
  ]);
  used("ann", "encrypt_pii", "acme", key(1), "data", 1, "ops");
  expect(take(at).map(({ rule, count }) => [rule, count])).toEqual([["ops", 1]]);
});
