/** `sign`: an OTLP trace export comes back with the evidence on its spans, by SignSpans of a running service. */
import { randomUUID } from "node:crypto";
import { type Command, exitCode, jsonOption, type OptionValues, textOf, UsageError } from "../command.ts";
import { readExport } from "../sign/export-file.ts";
import { readFile } from "../files.ts";
import { refuseExisting, refuseUnwritable, writeNewFile } from "../new-file.ts";
import { printError, printExport, printJson, printLine } from "../print.ts";
import { credentialOptions, credentialsFor } from "../access/credentials.ts";
import {
  type Refusal,
  resumable,
  type Signed,
  type SignRequest,
  signedPieces,
  signExport,
  summaryOf,
} from "../sign/export.ts";
import { connectToOption } from "../access/connect-to.ts";
import { grpcAddressOf, grpcAddressOption } from "../sign/span-stream.ts";

const shownRefusals = 20;

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
    { ...connectToOption, description: "connect there instead, with the name and the certificate of the address" },
    ...credentialOptions,
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
    "Where --token-file, --ca-cert, --client-cert and --client-key are not given, the files are those of FLUO_KMS_TOKEN_FILE (or the token itself is",
    "that of FLUO_KMS_TOKEN), FLUO_KMS_CACERT, FLUO_KMS_CLIENT_CERT and FLUO_KMS_CLIENT_KEY.",
    "",
  ],
  async run(options, ...names) {
    const request = requestOf(options);
    const out = textOf(options, "out");
    if (options.json === true && out === undefined) throw new UsageError("sign --json needs --out FILE");
    if (out !== undefined) refuseExisting(out);
    const files = names.map((name) => readExport(name, readFile(name)));
    if (out !== undefined) refuseUnwritable(out);
    else if (process.stdout.isTTY && files[0]!.form === "protobuf")
      throw new UsageError("an export in protobuf is nothing for a terminal; name a file with --out");
    const signed = await signExport(files, request);
    try {
      const pieces = signedPieces(files, signed);
      if (out === undefined) await printExport(pieces);
      else writeNewFile(out, pieces);
    } catch (error) {
      throw resumable(error, request, signed.attributes.length);
    }
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
  const address = grpcAddressOf(options);
  const credentials = credentialsFor(options, address);
  credentials(); // what is wrong with them is told before anything is read
  return { tenant, mode, address, credentials, run: resumed ?? randomUUID() };
}

interface Reported {
  request: SignRequest;
  out: string | undefined;
  isJson: boolean;
}

function report({ attributes, indices, refusals }: Signed, { request, out, isJson }: Reported): void {
  const [spans, count] = [attributes.length, attributes.length - refusals.length];
  const [first, last] = [indices[0] ?? null, indices.at(-1) ?? null];
  for (const refusal of refusals.slice(0, shownRefusals)) printError(`fluo-kms: ${lineOf(refusal)}`);
  if (refusals.length > shownRefusals) printError(`fluo-kms: and ${refusals.length - shownRefusals} more`);
  if (isJson) {
    const { tenant, mode } = request;
    const entries = { first_leaf_index: first, last_leaf_index: last };
    printJson({ tenant, mode, spans, signed: count, ...entries, refused: refusals, out });
    return;
  }
  const say = out === undefined ? printError : printLine;
  say(summaryOf({ attributes, indices, refusals }, request.tenant));
}

function lineOf({ file, number, name, code, field, message }: Refusal): string {
  const why = [field, message].filter((each) => each !== "").join(": ") || "see the refusals before it";
  return `${file}: span ${number}, ${name}, is refused (${code}): ${why}`;
}
