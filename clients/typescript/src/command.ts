#!/usr/bin/env node
/** `fluo-kms-verify`: were these spans signed by this tenant, and are they unchanged? Needs the public keys and no service. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  explanations,
  type KeySet,
  KeySetError,
  parseKeySet,
  UnreadableExportError,
  type Verdict,
  verifyExport,
} from "./verify.ts";

const usage = `Usage: fluo-kms-verify --keys FILE [--tenant TENANT] [--vkey VKEY]… [--json] SPANS_FILE

Verifies signed spans offline. SPANS_FILE is an OTLP trace export: protobuf, JSON, or JSON lines.

  --keys FILE      the tenant's public keys, as /api/kms/tenants/{tenant}/jwks.json serves them
  --tenant TENANT  who must have signed; without it, whom each span names
  --vkey VKEY      trust this key alone, and those that it hands over to; may be given several times
  --json           print JSON

Exits with 0 when every span verifies, 1 when any does not or there is none, 2 for wrong usage.`;

/** What ends the command, in words for people. */
class Failure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

async function run(args: string[]): Promise<number> {
  const { values, positionals } = parsed(args);
  if (values.help) {
    print(usage);
    return 0;
  }
  const { keys: keysFile, tenant, vkey: vkeys = [], json = false } = values;
  const [spansFile] = positionals;
  if (keysFile === undefined) throw new Failure("verify needs --keys FILE", 2);
  if (spansFile === undefined || positionals.length > 1) throw new Failure("verify takes one SPANS_FILE", 2);
  const all = await parseKeySet(read(keysFile).toString("utf8"));
  const keys = vkeys.length === 0 ? all : await trusted(all, vkeys);
  const verdicts = await verifyExport(keys, read(spansFile), tenant);
  const verified = verdicts.filter((each) => each.verified).length;
  const failed = verdicts.length - verified;
  if (json) print(JSON.stringify({ verified, failed, spans: verdicts.map(jsonOf) }, undefined, 2));
  else {
    for (const line of table(verdicts.map(rowOf))) print(oneLine(line));
    if (verdicts.length === 0) print("there are no spans in the file");
    else print(`${verified} of ${verdicts.length} verified${failed > 0 ? `, ${failed} failed` : ""}`);
  }
  return verified > 0 && failed === 0 ? 0 : 1;
}

async function trusted(keys: KeySet, vkeys: readonly string[]): Promise<KeySet> {
  for (const vkey of vkeys) {
    const isThere = await keys.has(vkey).catch((error: Error) => {
      throw new Failure(error.message, 2);
    });
    if (!isThere) throw new Failure(`the keys file has no key ${vkey}`);
  }
  return keys.trusting(vkeys);
}

function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        keys: { type: "string" },
        tenant: { type: "string" },
        vkey: { type: "string", multiple: true },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new Failure((error as Error).message, 2);
  }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Failure(`cannot read ${file}: ${(error as Error).message}`, 2);
  }
}

function rowOf({ traceId = "-", spanId = "-", reason, keyId, keyState, signedAt, leafIndex, message }: Verdict) {
  const place = leafIndex === undefined ? "" : `entry ${leafIndex}`;
  const about =
    reason === "OK" ? [signedAt, keyId, keyState, place].join("  ").trimEnd() : (message ?? explanations[reason]);
  return [`${traceId}/${spanId}`, reason, about];
}

function jsonOf({ traceId, spanId, verified, reason, message, keyId, keyState, signedAt, log, leafIndex }: Verdict) {
  return {
    ...{ trace_id: traceId, span_id: spanId, verified, reason, message },
    ...{ key_id: keyId, key_state: keyState, signed_at: signedAt, log, leaf_index: leafIndex },
  };
}

/** Rows as columns, two spaces apart. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1].map((i) => rows.reduce((width, row) => Math.max(width, row[i]!.length), 0));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** What others wrote cannot steer the terminal. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Failure || error instanceof KeySetError || error instanceof UnreadableExportError))
    throw error;
  process.stderr.write(`fluo-kms-verify: ${oneLine(error.message)}\n`);
  process.exitCode = error instanceof Failure ? error.exitCode : 1;
}
