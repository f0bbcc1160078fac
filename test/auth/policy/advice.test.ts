/** What Validate recommends on a policy, and what it does not on one that needs nothing. */
import { textsOf } from "../../support/notice-texts.ts";
import { expect, it } from "vitest";
import { adviceOn } from "../../../src/auth/policy/advice.ts";
import { policyOf, rule, trusted } from "../../support/policy-fixture.ts";

const advised = (text: string, profile = "dev") => {
  const { recommendations, faults } = adviceOn(policyOf(text), profile);
  return { recommendations: textsOf(recommendations), faults: textsOf(faults) };
};
const nothing = { recommendations: [], faults: [] };
const tokensWithoutEnd = (names: readonly string[]) => `version: 1
tokens:
${names.map((name, at) => `  - { name: ${name}, sha256: "${at.toString(16).padStart(64, "0")}" }`).join("\n")}
rules:
  - { name: a, who: { token: ${names[0]} }, roles: [sign], tenants: [acme] }
`;

it("is nothing on a policy that names tenants and ends of tokens", () => {
  expect(advised(trusted + rule({ roles: "[decrypt, decrypt-data-key]", tenants: "[acme, globex-*]" }))).toEqual(
    nothing,
  );
  expect(advised(trusted + rule({ roles: "[encrypt, status]", tenants: '"*"' }))).toEqual(nothing);
});

it.each(["decrypt", "decrypt-data-key"])("is to name the tenants of a rule that gives %s for all", (role) => {
  const text = trusted + rule({ name: "all", roles: `[${role}]`, tenants: '"*"' }) + rule({ name: "one" });
  expect(advised(text)).toEqual({
    recommendations: ["Name tenants, ids or prefixes, in rules that give decrypt or decrypt-data-key for all: all."],
    faults: [],
  });
});

it("is to give static tokens an end, of which it names some", () => {
  expect(advised(tokensWithoutEnd(["a", "b"])).recommendations).toEqual([
    "Give static tokens in the policy an end, by expires: a, b.",
  ]);
  expect(advised(tokensWithoutEnd(["a", "b", "c", "d", "e", "f", "g"])).recommendations).toEqual([
    "Give static tokens in the policy an end, by expires: a, b, c, d, e and 2 more.",
  ]);
});

it("is destruction by two in production, unless the policy has it", () => {
  const one = trusted + rule();
  expect(advised(one, "prod").recommendations).toEqual([expect.stringMatching(/^Set destruction: two-person/)]);
  expect(advised(`${one}destruction: two-person\n`, "prod")).toEqual(nothing);
  expect(advised(one)).toEqual(nothing);
});

it("is a fault where separation is off", () => {
  expect(advised(`${trusted}${rule()}separation: off\n`)).toEqual({
    recommendations: [],
    faults: [expect.stringMatching(/^Set separation: on in the policy/)],
  });
  expect(advised(`${trusted}${rule()}separation: on\n`)).toEqual(nothing);
});
