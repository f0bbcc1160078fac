/** Policies of static tokens for tests. */
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import { roles } from "../../src/call/roles.ts";

export interface TokenRule {
  roles: readonly string[];
  /** As it is written in the policy. */
  tenants?: string;
  limit?: number;
}

export interface TokenPolicy {
  /** YAML. */
  text: string;
  /** For a service that is to be under it. */
  files: { "policy.yaml": string };
  /** By the names of their rules. */
  tokens: Readonly<Record<string, string>>;
}

/** A policy of one static token for each rule, and what else stands at its top level. */
export function tokenPolicy(rules: Readonly<Record<string, TokenRule>>, more = ""): TokenPolicy {
  const made = Object.keys(rules).map((name) => ({ name, ...newStaticToken() }));
  const entries = made.map(({ name, sha256 }) => `  - { name: ${name}, sha256: "${sha256}", expires: 2099-01-01 }`);
  const given = Object.entries(rules).map(
    ([name, { roles, tenants = '"*"', limit }]) =>
      `  - { name: ${name}, who: { token: ${name} }, roles: [${roles.join(", ")}], tenants: ${tenants}${limit === undefined ? "" : `, limit: ${limit}`} }`,
  );
  const text = ["version: 1", more, "tokens:", ...entries, "rules:", ...given, ""].join("\n");
  return {
    text,
    files: { "policy.yaml": text },
    tokens: Object.fromEntries(made.map(({ name, token }) => [name, token])),
  };
}

/** A rule for each role alone, for all tenants. */
export const oneRoleEach: Readonly<Record<string, TokenRule>> = Object.fromEntries(
  roles.map((role) => [role, { roles: [role] }]),
);
