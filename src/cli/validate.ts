/** `validate`: does the running service do what it is for? */
import { type Command, exitCode, jsonOption, textOf } from "./command.ts";
import { printLine, printTable } from "./print.ts";
import { addressOption, callService, serviceDetails } from "./service.ts";

interface Validation {
  provider?: string;
  overall?: string;
  tests?: Record<string, string>;
  latency_ms?: Record<string, number>;
  recommendations?: string[];
}

const timeoutMs = 60_000;

export const validate: Command = {
  name: "validate",
  summary:
    "Checks a running service end to end: makes and reads keys, encrypts, signs, and tries what must be refused.",
  options: [
    addressOption,
    { name: "tenant", value: "TENANT", description: "the tenant to check for, instead of a probe" },
    jsonOption,
  ],
  details: serviceDetails,
  async run(options) {
    const tenant = textOf(options, "tenant");
    const body = tenant === undefined ? {} : { tenant_id: tenant };
    const { text, json } = await callService(options, {
      method: "POST",
      path: "/api/admin/kms/validate",
      body,
      timeoutMs,
    });
    if (options.json) console.log(text);
    else printValidation(json);
    return json.overall === "PASS" ? exitCode.ok : exitCode.failed;
  },
};

function printValidation({ provider, overall, tests = {}, latency_ms = {}, recommendations = [] }: Validation): void {
  printTable([
    ["overall", String(overall)],
    ["provider", String(provider)],
  ]);
  printLine("tests");
  printTable(Object.entries(tests), "  ");
  printLine("latency");
  printTable(
    Object.entries(latency_ms).map(([name, ms]) => [name, `${ms} ms`]),
    "  ",
  );
  if (recommendations.length > 0) printLine("recommendations");
  for (const recommendation of recommendations) printLine(`  ${recommendation}`);
}
