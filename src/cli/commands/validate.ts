/** `validate`: does the running service do what it is for? */
import { type Command, exitCode, jsonOption, textOf } from "../command.ts";
import { countsText, printJsonText, printLine, printTable } from "../print.ts";
import { verdict } from "../styled.ts";
import type { SentNotice } from "./status.ts";
import { callService, serviceDetails, serviceOptions } from "../service-client.ts";

export interface Validation {
  provider?: string;
  overall?: string;
  tests?: Record<string, string>;
  latency_ms?: Record<string, number>;
  recommendations?: string[];
  recommendation_details?: SentNotice[];
  key?: ProviderKey;
  other_keys?: ProviderKey[];
  provider_calls?: Record<string, number>;
}

interface ProviderKey {
  key_id: string;
  region: string | null;
  state: string | null;
  rotation: string | null;
  clock_skew_ms: number | null;
}

const timeoutMs = 60_000;

export const validate: Command = {
  name: "validate",
  summary:
    "Checks a running service end to end: makes and reads keys, encrypts, signs, and tries what must be refused.",
  options: [
    ...serviceOptions,
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
    if (options.json) printJsonText(text);
    else printValidation(json);
    return json.overall === "PASS" ? exitCode.ok : exitCode.failed;
  },
};

function printValidation(validation: Validation): void {
  const { provider, overall, key, other_keys = [], provider_calls } = validation;
  const { tests = {}, latency_ms = {}, recommendations = [] } = validation;
  printTable([
    ["overall", verdict(String(overall))],
    ["provider", provider || "not known: its key is not open"],
    ...(key ? [["key", keyText(key)]] : []),
    ...other_keys.map((other) => ["other key", keyText(other)]),
    ...(provider_calls ? [["provider calls", countsText(provider_calls)]] : []),
  ]);
  printLine("tests");
  printTable(
    Object.entries(tests).map(([name, result]) => [name, verdict(result)]),
    "  ",
  );
  printLine("latency");
  printTable(
    Object.entries(latency_ms).map(([name, ms]) => [name, `${ms} ms`]),
    "  ",
  );
  if (recommendations.length > 0) printLine("recommendations");
  for (const recommendation of recommendations) printLine(`  ${recommendation}`);
}

function keyText({ key_id, region, state, rotation, clock_skew_ms }: ProviderKey): string {
  return [
    key_id,
    state ?? "state not known",
    ...(region === null ? [] : [`in ${region}`]),
    ...(rotation === null ? [] : [`rotation ${rotation}`]),
    ...(clock_skew_ms === null ? [] : [clock_skew_ms === 0 ? "clock in time" : `clock off by ${clock_skew_ms} ms`]),
  ].join(", ");
}
