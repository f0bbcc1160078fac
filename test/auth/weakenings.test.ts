/** Policies that come into force after another, and what operators are told of it. */
import { pino } from "pino";
import { expect, it } from "vitest";
import { readPolicy } from "../../src/auth/policy/policy.ts";
import { watchWeakenings } from "../../src/auth/weakenings.ts";
import { virtualTime } from "../support/virtual-time.ts";

const rule = (name: string) => `  - { name: ${name}, who: { token: t }, roles: [sign], tenants: "*" }\n`;
const policy = (names: readonly string[], more = "") =>
  readPolicy(
    `version: 1\n${more}tokens: [{ name: t, sha256: ${"0".repeat(64)}, expires: 2099-01-01 }]\nrules:\n${names.map(rule).join("")}`,
  ).policy!;
const two = "destruction: two-person\n";

function watched() {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line)) });
  const time = virtualTime();
  const watch = watchWeakenings({ log, time });
  const logged = () => lines.map(({ level, weakening, msg }) => [level, weakening, msg]);
  return { ...watch, time, logged };
}

const counted = (counts: ReadonlyMap<string, number>) => Object.fromEntries(counts);

it.each<[string, ReturnType<typeof policy>, ReturnType<typeof policy>, kind: string, text: string]>([
  [
    "separation that is turned off",
    policy(["a"]),
    policy(["a"], "separation: off\n"),
    "separation",
    "turned separation off",
  ],
  [
    "destruction that took two",
    policy(["a"], two),
    policy(["a"]),
    "destruction",
    "lets one person have a key destroyed, where it took two",
  ],
  [
    "more than half of the rules that go",
    policy(["a", "b", "c"]),
    policy(["c", "d", "e"]),
    "rules",
    "took away 2 of 3 rules: a, b",
  ],
  [
    "many of them, of which some are named",
    policy([..."abcdefgh"]),
    policy(["h"]),
    "rules",
    "took away 7 of 8 rules: a, b, c, d, e and 2 more",
  ],
])("%s: a warning, a remark for a day, and a count", async (_, before, after, kind, text) => {
  const { compare, remarks, counts, time, logged } = watched();
  compare(before, after);
  expect(logged()).toEqual([[40, kind, `the policy in force ${text}`]]);
  expect(counted(counts())).toEqual({ separation: 0, destruction: 0, rules: 0, [kind]: 1 });
  const remark = {
    code: "POLICY_WEAKENED",
    subject: kind,
    text: `A reload of the policy at 2026-01-01T00:00:00.000Z ${text}.`,
  };
  expect(remarks()).toEqual([remark]);
  compare(after, after);
  await time.advance(86_399_999);
  expect(remarks()).toEqual([remark]);
  await time.advance(1);
  expect(remarks()).toEqual([]);
  expect(counted(counts())).toMatchObject({ [kind]: 1 });
});

it.each([
  ["the same policy", policy(["a", "b"], two), policy(["a", "b"], two)],
  ["a stronger one", policy(["a"], "separation: off\n"), policy(["a"], two)],
  ["one without half of the rules", policy(["a", "b"]), policy(["b"])],
  ["one with more rules", policy(["a"]), policy(["a", "b"])],
])("%s is none", (_, before, after) => {
  const { compare, remarks, counts, logged } = watched();
  compare(before, after);
  expect([logged(), remarks(), counted(counts())]).toEqual([[], [], { separation: 0, destruction: 0, rules: 0 }]);
});
