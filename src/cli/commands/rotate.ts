/** `rotate`: new keys for a tenant, or for all that are due. */
import { type Command, exitCode, jsonOption, type OptionValues, textOf, UsageError } from "../command.ts";
import { printJsonText, printLine, printTable } from "../print.ts";
import { callService, serviceDetails, serviceOptions } from "../service-client.ts";

interface Key {
  tenant_id: string;
  purpose: string;
  key_id: string;
  version: number;
}

interface Rotation {
  rotated?: (Key & { retired_key_id: string })[];
  skipped?: (Key & { reason: string })[];
  failed?: { tenant_id: string; purpose: string; code: number; message: string }[];
  remaining?: number;
  dry_run?: boolean;
}

const timeoutMs = 280_000;

export const rotate: Command = {
  name: "rotate",
  summary: "Rotates the keys of a tenant, or all keys that are due.",
  options: [
    ...serviceOptions,
    { name: "tenant", value: "TENANT", description: "this tenant's keys alone; without it, all that are due" },
    { name: "purpose", value: "PURPOSE", description: "data or signing; without it, both" },
    { name: "force", description: "also what is not due" },
    { name: "dry-run", description: "say what would be done" },
    { name: "limit", value: "COUNT", description: "at most so many keys" },
    { name: "request-id", value: "ID", description: "names this rotation, so that a retry does not rotate again" },
    jsonOption,
  ],
  details: serviceDetails,
  async run(options) {
    const body = bodyFrom(options);
    const { text, json } = await callService(options, {
      method: "POST",
      path: "/api/admin/kms/rotate",
      body,
      timeoutMs,
    });
    if (options.json) printJsonText(text);
    else printRotation(json);
    return Array.isArray(json.failed) && json.failed.length === 0 ? exitCode.ok : exitCode.failed;
  },
};

function bodyFrom(options: OptionValues): Record<string, unknown> {
  const purpose = textOf(options, "purpose");
  if (purpose !== undefined && purpose !== "data" && purpose !== "signing") {
    throw new UsageError("--purpose is data or signing; leave it out for both");
  }
  const limit = textOf(options, "limit");
  if (limit !== undefined && !/^[1-9]\d{0,8}$/.test(limit)) throw new UsageError("--limit is a whole number from 1");
  const given = {
    tenant_id: textOf(options, "tenant"),
    purpose,
    force: options.force,
    dry_run: options["dry-run"],
    limit: limit && Number(limit),
    request_id: textOf(options, "request-id"),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function printRotation({ rotated = [], skipped = [], failed = [], remaining = 0, dry_run }: Rotation): void {
  const done = dry_run ? "would rotate" : "rotated";
  printTable([
    ...rotated.map((key) => [done, ...columns(key), `replaces ${key.retired_key_id || "none"}`]),
    ...skipped.map((key) => ["skipped", ...columns(key), key.reason]),
    ...failed.map(({ tenant_id, purpose, message }) => ["failed", tenant_id, purpose, "", "", message]),
  ]);
  printLine(`${rotated.length} ${done}, ${skipped.length} skipped, ${failed.length} failed, ${remaining} remaining`);
}

function columns({ tenant_id, purpose, version, key_id }: Key): string[] {
  return [tenant_id, purpose, `v${version}`, key_id || "-"].map(String);
}
