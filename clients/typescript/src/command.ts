#!/usr/bin/env node
/** `fluo-kms-verify`: were these spans signed by this tenant, and are they unchanged, and all there? Needs the public keys and no service. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  type KeySet,
  KeySetError,
  LogError,
  parseKeySet,
  UnreadableExportError,
  verifyExport,
  verifyLog,
} from "./verify.ts";
import { jsonText, oneLine, type Report, reportOnLogs, reportOnSpans } from "./verify-report.ts";

const usage = `Usage: fluo-kms-verify --keys FILE [OPTIONS] SPANS_FILE

Verifies signed spans offline. SPANS_FILE is an OTLP trace export: protobuf, JSON, or JSON lines.

  --keys FILE        the tenant's public keys, as /api/kms/tenants/{tenant}/jwks.json serves them
  --tenant TENANT    who must have signed; without it, whom each span names
  --vkey VKEY        trust this key alone, and those that it hands over to; may be given several times
  --log              check that the spans are all of the log's, in its order, from the first to the last
  --checkpoint FILE  with --log: checkpoints that you kept, one or several in a file; may be given several times
  --from SIZE        with --log: begin behind the first SIZE entries
  --to SIZE          with --log: end with the first SIZE entries
  --any-order        with --log: the file is in no order, as from a store that keeps none
  --json             print JSON
  --help             print this help

Exits with 0 when every span verifies, and with --log none is missing, repeated, out of order or rewritten; 1 when not, or when there is no
span; 2 for wrong usage.`;

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
  const [spansFile] = positionals;
  if (values.keys === undefined) throw new Failure("verify needs --keys FILE", 2);
  if (spansFile === undefined || positionals.length > 1) throw new Failure("verify takes one SPANS_FILE", 2);
  const range = logRange(values);
  const keys = await trusted(await parseKeySet(keysText(values.keys)), values.vkey);
  const report = await reportOn(keys, read(spansFile), { ...values, range });
  if (values.json) print(jsonText(report.json));
  else for (const line of report.lines) print(oneLine(line));
  return report.ok ? 0 : 1;
}

type Values = ReturnType<typeof parsed>["values"];
type Range = { from: number | undefined; to: number | undefined };

async function reportOn(
  keys: KeySet,
  spans: Uint8Array,
  { tenant, vkey = [], checkpoint = [], "any-order": anyOrder = false, range }: Values & { range: Range | undefined },
): Promise<Report> {
  const [kept, pinned] = [checkpoint.length > 0, vkey.length > 0];
  const performed = { log: range !== undefined, ordered: !anyOrder, kept, pinned };
  if (range === undefined) return reportOnSpans(await verifyExport(keys, spans, tenant), performed);
  const checkpoints = checkpoint.map((file) => ({ name: file, text: read(file).toString("utf8") }));
  return reportOnLogs(await verifyLog(keys, spans, { ...range, tenantId: tenant, checkpoints, anyOrder }), performed);
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
        log: { type: "boolean" },
        checkpoint: { type: "string", multiple: true },
        from: { type: "string" },
        to: { type: "string" },
        "any-order": { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new Failure(usageMessage(error as Error), 2);
  }
}

/** What Node says of the arguments, without its advice on positional ones. */
function usageMessage({ message }: Error): string {
  const ambiguous = /^Option '(--?[\w-]+)' argument is ambiguous/.exec(message)?.[1];
  if (ambiguous !== undefined) return `${ambiguous} needs a value; one that begins with a dash is ${ambiguous}=-…`;
  return message.replace(/\. To specify a positional argument[\s\S]*$/, "");
}

/** Undefined where each span is for itself. */
function logRange(values: Values): Range | undefined {
  if (values.log) {
    const [from, to] = [sizeOf(values, "from"), sizeOf(values, "to")];
    if (from !== undefined && to !== undefined && from >= to) throw new Failure("--from must be below --to", 2);
    return { from, to };
  }
  const only = (["checkpoint", "from", "to", "any-order"] as const).find((name) => values[name] !== undefined);
  if (only !== undefined) throw new Failure(`--${only} is for --log`, 2);
  return undefined;
}

function sizeOf(values: Values, name: "from" | "to"): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const size = /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(size)) throw new Failure(`--${name} is a number of entries`, 2);
  return size;
}

async function trusted(keys: KeySet, vkeys: readonly string[] = []): Promise<KeySet> {
  for (const vkey of vkeys) {
    const isThere = await keys.has(vkey).catch((error: Error) => {
      throw new Failure(error.message, 2);
    });
    if (!isThere) throw new Failure(`the keys file has no key ${vkey}`);
  }
  return vkeys.length === 0 ? keys : keys.trusting(vkeys);
}

/** Keeps its byte order mark, which is for the key set to pass over. */
function keysText(file: string): string {
  const bytes = read(file);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Failure("the keys file is not UTF-8; save what jwks.json answers");
  }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Failure(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, 2);
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

// A reader that left, such as `head`, has what it wants.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") return;
  process.stderr.write(`fluo-kms-verify: standard output cannot be written (${error.code})\n`);
  process.exitCode = 1;
});
try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const isTold = [Failure, KeySetError, LogError, UnreadableExportError].some((kind) => error instanceof kind);
  if (!isTold) throw error;
  const { message } = error as Error;
  process.exitCode = error instanceof Failure ? error.exitCode : 1;
  // Standard output holds one JSON document, also of what went wrong.
  if (process.exitCode === 1 && process.argv.includes("--json"))
    print(jsonText({ code: "FAILED", message, fields: [] }));
  else process.stderr.write(`fluo-kms-verify: ${oneLine(message)}\n`);
}
