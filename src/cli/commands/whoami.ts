/** `whoami`: who the caller is to a running service, and what it may do there. */
import { type Command, exitCode, jsonOption } from "../command.ts";
import { printJsonText, printLine, printTable } from "../print.ts";
import { callService, serviceDetails, serviceOptions } from "../service-client.ts";

interface Whoami {
  name?: string;
  kind?: string;
  until?: string;
  grants?: { rule?: string; roles: readonly string[]; tenants: readonly string[] }[];
  policy_sha256?: string;
}

const timeoutMs = 30_000;

export const whoami: Command = {
  name: "whoami",
  summary: "Shows who the caller is to a running service, and what it may do there.",
  options: [...serviceOptions, jsonOption],
  details: serviceDetails,
  async run(options) {
    const { text, json } = await callService(options, { method: "GET", path: "/api/kms/whoami", timeoutMs });
    if (options.json === true) printJsonText(text);
    else print(json);
    return exitCode.ok;
  },
};

function print({ name, kind, until, grants = [], policy_sha256 }: Whoami): void {
  printTable([
    ["name", String(name)],
    ["kind", String(kind)],
    ...(until === undefined ? [] : [["until", until]]),
    ...(policy_sha256 === undefined ? [] : [["policy", policy_sha256]]),
  ]);
  if (kind === "anonymous") printSteps();
  else printGrants(grants);
}

function printGrants(grants: NonNullable<Whoami["grants"]>): void {
  printLine(grants.length === 0 ? "no rule names this caller: it may do nothing" : "rules");
  printTable(
    grants.map(({ rule, roles, tenants }) => [String(rule), roles.join(", "), tenantsText(tenants)]),
    "  ",
  );
}

function tenantsText(tenants: readonly string[]): string {
  if (tenants.includes("*")) return "all tenants";
  return tenants.length === 0 ? "no tenant" : tenants.join(", ");
}

/** What switches authentication on, from nothing to a first administrator. */
const steps = [
  "(umask 077; npx fluo-kms policy new > admin.token)",
  "printf '%s\\n' fluo.kms.auth=policy fluo.kms.policy.file=policy/policy.yaml >> application.properties",
  "export FLUO_KMS_TOKEN_FILE=admin.token",
];

function printSteps(): void {
  printLine(
    "Authentication is none: whoever can connect may do everything. To change that, and start the service again:",
  );
  for (const step of steps) printLine(`  ${step}`);
}
