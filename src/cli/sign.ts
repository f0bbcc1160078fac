/** `sign`: an OTLP trace export comes back with the evidence on its spans, by SignSpans of a running service. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Command, exitCode, Failure, jsonOption, type OptionValues, textOf, UsageError } from "./command.ts";
import { type ExportFile, readExport } from "./export-file.ts";
import { readFile } from "./file.ts";
import type { Attribute } from "./json-spans.ts";
import { refuseExisting, writeNewFile } from "./new-file.ts";
import { oneLine, printJson, printLine } from "./print.ts";
import { progressLine } from "./progress.ts";
import { type Batch, signBatches } from "./sign-batches.ts";
import {
  type Address,
  grpcAddressOf,
  grpcAddressOption,
  type Mode,
  type SpanAnswer,
  whyUnreachable,
} from "./sign-stream.ts";
import { batchesOf } from "./span-batches.ts";

/** What to sign, and where. */
export interface SignRequest {
  tenant: string;
  mode: Mode;
  address: Address;
  /** Begins the request_id of each batch. */
  run: string;
}

const shownRefusals = 20;
const progressLinesEveryMs = 5_000;

export const sign: Command = {
  name: "sign",
  summary: "Signs the spans of an OTLP trace export, by a running service.",
  operand: "FILE…",
  options: [
    { name: "tenant", value: "TENANT", description: "whose key signs" },
    {
      name: "mode",
      value: "MODE",
      description: "individual: a signature for each span, the default; log: a place in the tenant's log",
    },
    { name: "out", value: "FILE", description: "a new file for the signed export, instead of standard output" },
    grpcAddressOption,
    { name: "resume", value: "RUN", description: "go on with a run in mode log that failed, with the same files" },
    { ...jsonOption, description: "print a summary as JSON; needs --out" },
  ],
  details: [
    "Each FILE is an OTLP trace export: protobuf, JSON, or JSON lines. It comes back in the same form, with audit.integrity attributes on its",
    "spans and nothing else changed; several of one form become one. Nothing is sent if a file cannot be read whole or has signed spans.",
    "",
    "A span that the service refuses is named, and stays in the export as it was, without attributes: verify says that it is not signed. The",
    "exit code then is 1. Where a stream breaks, what was not answered is sent again; a log gets no span twice by that.",
    "",
    "For a certificate of your own authority set NODE_EXTRA_CA_CERTS to its PEM file.",
    "",
  ],
  async run(options, ...names) {
    const request = requestOf(options);
    const out = textOf(options, "out");
    if (options.json === true && out === undefined) throw new UsageError("sign --json needs --out FILE");
    if (out !== undefined) refuseExisting(out);
    const files = names.map((name) => readExport(name, readFile(name)));
    const signed = await signExport(files, request);
    const pieces = signedPieces(files, signed);
    if (out === undefined) for (const piece of pieces) process.stdout.write(piece);
    else writeNewFile(out, pieces);
    report(signed, { request, out, isJson: options.json === true });
    return signed.refusals.length === 0 ? exitCode.ok : exitCode.failed;
  },
};

function requestOf(options: OptionValues): SignRequest {
  const tenant = textOf(options, "tenant");
  if (tenant === undefined) throw new UsageError("sign needs --tenant TENANT");
  const mode = textOf(options, "mode") ?? "individual";
  if (mode !== "individual" && mode !== "log") throw new UsageError("--mode is individual or log");
  const resumed = textOf(options, "resume");
  if (resumed !== undefined && (mode !== "log" || !/^[\x21-\x7e]{1,100}$/.test(resumed)))
    throw new UsageError("--resume is for --mode log, with the RUN that the failure named");
  return { tenant, mode, address: grpcAddressOf(options), run: resumed ?? randomUUID() };
}

export interface Refusal {
  file: string;
  number: number;
  name: string;
  code: string;
  field: string;
  message: string;
}

export interface Signed {
  /** Of each span of all files in order; undefined for one that was refused. */
  attributes: (readonly Attribute[] | undefined)[];
  indices: number[];
  refusals: Refusal[];
}

/** Throws a Failure where not every span was signed or refused. */
export async function signExport(files: readonly ExportFile[], request: SignRequest): Promise<Signed> {
  const { address, mode, run, tenant: tenantId } = request;
  if (new Set(files.map(({ form }) => form === "protobuf")).size > 1)
    throw new Failure("protobuf and JSON do not fit into one export; sign them one after the other");
  const spans = files.flatMap((file) => file.spans);
  if (spans.length === 0) throw new Failure(`there are no spans in ${files.map(({ name }) => name).join(", ")}`);
  const batches = batchesOf(spans).map(({ resourceSpans, spans: count }, i): Batch => {
    return { request: { tenantId, mode, requestId: `${run}.${i}`, resourceSpans }, spans: count };
  });
  const { openSpanStream } = await import("./grpc-client.ts");
  const progress = progressLine(progressLinesEveryMs);
  const signed: Signed = { attributes: [], indices: [], refusals: [] };
  try {
    await signBatches(batches, {
      open: (events) => openSpanStream(address, events),
      wait: (ms) => delay(ms),
      whyUnreachable: (reason) => whyUnreachable(address, reason),
      signed(answers) {
        for (const answer of answers) add(signed, answer, spans[signed.attributes.length]!);
        progress.show(`${signed.attributes.length} of ${spans.length} spans`);
      },
      broken(why) {
        progress.end();
        console.error(`fluo-kms: ${oneLine(why)}`);
      },
    });
  } catch (error) {
    throw mode === "log" && error instanceof Failure ? resumable(error, { signed, all: spans.length, run }) : error;
  } finally {
    progress.end();
  }
  return signed;
}

function add(signed: Signed, answer: SpanAnswer, { file, number, name }: ExportFile["spans"][number]): void {
  if ("attributes" in answer) {
    signed.attributes.push(answer.attributes);
    if (answer.leafIndex !== undefined) signed.indices.push(answer.leafIndex);
  } else {
    signed.attributes.push(undefined);
    signed.refusals.push({ file, number, name, ...answer, field: withoutBatch(answer.field) });
  }
}

/** A path in the batch says nothing to whoever gave a file: what is left is below the span, or its resource or scope. */
function withoutBatch(field: string): string {
  return field.replace(/^resource_spans\[\d+\]\.?(scope_spans\[\d+\]\.?)?(spans\[\d+\]\.?)?/, "");
}

/** Entries of the log stay, so the same batches must not be entered as others. */
function resumable(error: Failure, { signed, all, run }: { signed: Signed; all: number; run: string }): Failure {
  const done = signed.attributes.length;
  if (done === 0) return error;
  const hint = `${done} of ${all} spans are in the log; within 24 hours the same command with --resume ${run} goes on with them`;
  return new Failure(`${error.message}\n${hint}`, { ...(error.json as object), resume: run });
}

function* signedPieces(files: readonly ExportFile[], { attributes }: Signed): Generator<Uint8Array | string> {
  let at = 0;
  for (const file of files) {
    const written = file.write(attributes.slice(at, at + file.spans.length));
    at += file.spans.length;
    if (written instanceof Uint8Array) yield written;
    else if (files.length === 1 && file.form === "JSON") yield* written;
    else for (const text of written) yield `${onOneLine(text)}\n`;
  }
}

/** In JSON a line may only end where white space may be. */
function onOneLine(json: string): string {
  return json.trim().replace(/\s*[\r\n]\s*/g, "");
}

interface Reported {
  request: SignRequest;
  out: string | undefined;
  isJson: boolean;
}

function report({ attributes, indices, refusals }: Signed, { request, out, isJson }: Reported): void {
  const [spans, count] = [attributes.length, attributes.length - refusals.length];
  const [first, last] = [indices[0] ?? null, indices.at(-1) ?? null];
  for (const refusal of refusals.slice(0, shownRefusals)) console.error(`fluo-kms: ${oneLine(lineOf(refusal))}`);
  if (refusals.length > shownRefusals) console.error(`fluo-kms: and ${refusals.length - shownRefusals} more`);
  if (isJson) {
    const { tenant, mode } = request;
    printJson({
      tenant,
      mode,
      spans,
      signed: count,
      first_leaf_index: first,
      last_leaf_index: last,
      refused: refusals,
      out,
    });
    return;
  }
  const entries = first === null ? "" : `, entries ${first} to ${last} of its log`;
  const say = out === undefined ? console.error : printLine;
  say(`${count} of ${spans} signed for ${request.tenant}${entries}`);
}

function lineOf({ file, number, name, code, field, message }: Refusal): string {
  const why = [field, message].filter((each) => each !== "").join(": ") || "see the refusals before it";
  return `${file}: span ${number}, ${name}, is refused (${code}): ${why}`;
}
