/** Exports to signed exports: their spans go to SignSpans in batches, and what comes back goes on them. */
import { realTime } from "../../runtime/time.ts";
import { counted } from "../../attestation/log-audit.ts";
import { Failure } from "../command.ts";
import { adviceOn, type Credentials, noCredentials, type ReadCredentials } from "../access/credentials.ts";
import type { ExportFile } from "./export-file.ts";
import type { Attribute } from "./json-spans.ts";
import { printError } from "../print.ts";
import { startProgress } from "../progress.ts";
import { type Batch, signBatches } from "./batches.ts";
import { type Address, type Mode, type SpanAnswer, whyUnreachable } from "./span-stream.ts";
import { batchesOf } from "./span-batches.ts";

/** What to sign, and where. */
export interface SignRequest {
  tenant: string;
  mode: Mode;
  address: Address;
  credentials: ReadCredentials;
  /** Begins the request_id of each batch. */
  run: string;
}

const progressLinesEveryMs = 5_000;

export interface Refusal {
  file: string;
  number: number;
  name: string;
  code: string;
  field: string;
  message: string;
}

export interface Signed {
  /** One entry for each span of all files, in order; undefined for a span that was refused. */
  attributes: (readonly Attribute[] | undefined)[];
  indices: number[];
  refusals: Refusal[];
}

/** Throws a Failure where not every span was signed or refused. */
export async function signExport(files: readonly ExportFile[], request: SignRequest): Promise<Signed> {
  const { address, credentials, mode, run, tenant: tenantId } = request;
  if (new Set(files.map(({ form }) => form === "protobuf")).size > 1)
    throw new Failure("protobuf and JSON do not fit into one export; sign them one after the other");
  const spans = files.flatMap((file) => file.spans);
  if (spans.length === 0) throw new Failure(`there are no spans in ${files.map(({ name }) => name).join(", ")}`);
  const batches = batchesOf(spans).map(({ resourceSpans, spans: count }, i): Batch => {
    return { request: { tenantId, mode, requestId: `${run}.${i}`, resourceSpans }, spans: count };
  });
  const { openSpanStream } = await import("../grpc-client.ts");
  const progress = startProgress({ linesEveryMs: progressLinesEveryMs });
  const signed: Signed = { attributes: [], indices: [], refusals: [] };
  let shown: Credentials = noCredentials();
  let wasBroken = false;
  try {
    await signBatches(batches, {
      open(events) {
        shown = credentials();
        return openSpanStream({ address, shown }, events);
      },
      adviceOn: (message) => adviceOn(message, shown),
      wait: (ms) => realTime.sleep(ms),
      whyUnreachable: (reason) => whyUnreachable(address, reason),
      signed(answers) {
        for (const answer of answers) add(signed, answer, spans[signed.attributes.length]!);
        const [done, total] = [signed.attributes.length, spans.length];
        progress.show(`${done} of ${total} spans`, done, total);
      },
      broken(why) {
        wasBroken = true;
        progress.end();
        printError(`fluo-kms: ${why}`);
      },
    });
  } catch (error) {
    const answered = signed.attributes.length;
    throw wasBroken || answered > 0 ? resumable(error, request, answered) : error;
  } finally {
    progress.end();
  }
  return signed;
}

/** Adds to a Failure how to go on: entries of the log stay, so the same batches must not be entered as others. */
export function resumable(error: unknown, { mode, run }: SignRequest, answered: number): unknown {
  if (mode !== "log" || !(error instanceof Failure)) return error;
  const inLog = `${counted(answered, "span is", "spans are")} in the log, and more may be`;
  const hint = `${inLog}; within 24 hours the same command with --resume ${run} goes on with them`;
  return new Failure(`${error.message}\n${hint}`, { ...(error.json as object), resume: run });
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

/** Leaves of a path in the batch what is below the span, or its resource or scope: the caller knows files, not batches. */
function withoutBatch(field: string): string {
  return field.replace(/^resource_spans\[\d+\]\.?(scope_spans\[\d+\]\.?)?(spans\[\d+\]\.?)?/, "");
}

/** The signed export, as it is to be written. */
export function* signedPieces(files: readonly ExportFile[], { attributes }: Signed): Generator<Uint8Array | string> {
  let at = 0;
  for (const file of files) {
    const written = file.write(attributes.slice(at, at + file.spans.length));
    at += file.spans.length;
    if (written instanceof Uint8Array) yield written;
    else if (files.length === 1 && file.form === "JSON") yield* written;
    else for (const text of written) yield `${onOneLine(text)}\n`;
  }
}

/** Joins the lines: in JSON a line ends only where white space may be. */
function onOneLine(json: string): string {
  return json.trim().replace(/\s*[\r\n]\s*/g, "");
}

/** `300 of 300 signed for acme, entries 0 to 299 of its log`. */
export function summaryOf({ attributes, indices, refusals }: Signed, tenant: string): string {
  const entries = indices.length === 0 ? "" : `, entries ${indices[0]} to ${indices.at(-1)} of its log`;
  return `${attributes.length - refusals.length} of ${attributes.length} signed for ${tenant}${entries}`;
}
