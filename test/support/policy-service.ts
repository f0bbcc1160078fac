/** Policies of static tokens for tests, and services under them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import { roles } from "../../src/call/roles.ts";
import { realTime, type Time } from "../../src/runtime/time.ts";
import { type RunningService, startService } from "./running-service.ts";

export interface TokenRule {
  roles: readonly string[];
  /** As it is written in the policy. */
  tenants?: string;
  limit?: number;
}

export interface TokenPolicy {
  /** YAML. */
  text: string;
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
  return {
    text: ["version: 1", more, "tokens:", ...entries, "rules:", ...given, ""].join("\n"),
    tokens: Object.fromEntries(made.map(({ name, token }) => [name, token])),
  };
}

/** A rule for each role alone, for all tenants. */
export const oneRoleEach: Readonly<Record<string, TokenRule>> = Object.fromEntries(
  roles.map((role) => [role, { roles: [role] }]),
);

export interface PolicyService extends RunningService {
  tokens: TokenPolicy["tokens"];
  file: string;
  /** Puts another policy in the file's place, and waits until it is in force. */
  replace(text: string): Promise<void>;
}

export async function startPolicyService(
  { text, tokens }: TokenPolicy,
  properties: Record<string, string> = {},
  time: Time = realTime,
): Promise<PolicyService> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-policy-"));
  const file = join(dir, "policy.yaml");
  writeFileSync(file, text);
  const service = await startService({ "fluo.kms.auth": "policy", "fluo.kms.policy.file": file, ...properties }, time);
  return {
    ...service,
    tokens,
    file,
    async replace(next) {
      writeFileSync(file, next);
      await service.reloadFiles();
    },
    async stop() {
      await service.stop();
      rmSync(dir, { recursive: true });
    },
  };
}

export { bearer } from "./running-service.ts";

export function bearerHeaders(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}
