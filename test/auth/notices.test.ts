/** Remarks on what is in force: none where all is as it should be. */
import { expect, it } from "vitest";
import { accessNotices } from "../../src/auth/notices.ts";
import type { InForce } from "../../src/auth/in-force.ts";
import type { KeySetState } from "../../src/auth/token/issuer-keys.ts";
import type { Role } from "../../src/call/roles.ts";
import { textsOf } from "../support/notice-texts.ts";
import { policyOf, rule, trusted } from "../support/policy-fixture.ts";

const now = new Date("2026-01-01T00:00:00.000Z");

interface Given {
  separation?: "on" | "off";
  keys?: Partial<KeySetState>;
  mixed?: [string, Role][];
  crlUntil?: string;
  crlDue?: string;
}

function remarksOn({ separation = "on", keys = {}, mixed = [], crlUntil, crlDue }: Given): string[] {
  const policy = policyOf(`${trusted}${rule()}separation: ${separation}\n`);
  const state = { keys: 1, ageMs: 0, openMs: 0, problem: undefined, ...keys };
  const current = {
    files: { policy, crlUntilMs: crlUntil && Date.parse(crlUntil), crlDueMs: crlDue && Date.parse(crlDue) },
    issuers: { all: [{ entry: policy.issuers[0]!, keys: { state: () => state } }] },
  };
  return textsOf(accessNotices(current as unknown as InForce, new Map(mixed), now));
}

it("says nothing where all is as it should be", () => {
  expect(remarksOn({})).toEqual([]);
  expect(remarksOn({ crlDue: "2026-01-01T00:00:00.001Z", crlUntil: "2026-01-02T00:00:00Z" })).toEqual([]);
});

it.each<[string, Given, string]>([
  ["separation is off", { separation: "off" }, "The policy has separation: off, so who may decrypt may also destroy."],
  [
    "an issuer never had keys",
    { keys: { ageMs: undefined, keys: 0, problem: "ECONNREFUSED" } },
    "The keys of issuer sso cannot be had: ECONNREFUSED. There are none yet.",
  ],
  [
    "an issuer is down",
    { keys: { ageMs: 4_000_000, problem: "ECONNREFUSED" } },
    "The keys of issuer sso cannot be had: ECONNREFUSED. The last ones are 66 min old.",
  ],
  [
    "a revocation list is due",
    { crlDue: "2026-01-01T00:00:00Z", crlUntil: "2026-01-02T00:00:00Z" },
    "A revocation list of the policy is out of date from 2026-01-02T00:00:00.000Z on: renew it.",
  ],
  [
    "a revocation list is out of date",
    { crlDue: "2025-12-31T00:00:00Z", crlUntil: "2026-01-01T00:00:00Z" },
    "A revocation list of the policy is out of date since 2026-01-01T00:00:00.000Z, and certificates are refused: renew it.",
  ],
])("says so where %s", (_, given, remark) => {
  expect(remarksOn(given)).toEqual([remark]);
});

it("names some of the callers whose rules add up to roles that are kept apart, and counts the others", () => {
  const mixed = (count: number) => Array.from({ length: count }, (_, n): [string, Role] => [`token:t${n}`, "destroy"]);
  expect(remarksOn({ mixed: mixed(1) })).toEqual([
    "token:t0 is refused destroy: its rules add up to roles that are kept apart.",
  ]);
  const many = remarksOn({ mixed: mixed(7) });
  expect(many).toHaveLength(6);
  expect(many.at(-1)).toBe("Of 2 more callers the same is to be said.");
});
