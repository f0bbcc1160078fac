/** `verify`: were these spans signed by this tenant, and are they unchanged? Needs the public keys and no service. */
import { readFileSync } from "node:fs";
import { KmsError } from "../errors.ts";
import type { ReadSpan } from "../span/canonical.ts";
import { readResourceSpans } from "../span/resource-spans.ts";
import type { Reason, Verdict, VerifyingKey } from "../span/verdict.ts";
import { claimOf, isClaim, isLogClaim, verdict } from "../span/verify.ts";
import { logSigners, logVerdict } from "../span/verify-log.ts";
import { type Command, exitCode, jsonOption, textOf, UsageError } from "./command.ts";
import { readKeySet } from "./key-set.ts";
import { printJson, printLine, printTable } from "./print.ts";
import { splitSpanFile } from "./span-file.ts";

type Keys = ReadonlyMap<string, VerifyingKey>;

/** One line of the answer; `message` says why a span could not even be read. */
interface SpanVerdict extends Verdict {
  traceId?: string;
  spanId?: string;
  message?: string;
}

const explanations: Readonly<Record<Reason, string>> = {
  OK: "",
  SIGNATURE_MISMATCH: "the span or its signature was altered",
  SPAN_MISMATCH: "the statement is about another span",
  UNKNOWN_KEY: "no such key of this tenant in the keys file",
  KEY_STATE: "the key was not in use when the span says it was signed",
  KEY_COMPROMISED: "the key is marked compromised",
  PROOF_INVALID: "the log proof does not hold",
  MALFORMED: "the span carries no signature, or not in its form",
};

export const verify: Command = {
  name: "verify",
  summary: "Verifies signed spans offline.",
  operand: "SPANS_FILE",
  options: [
    {
      name: "keys",
      value: "FILE",
      description: "the tenant's public keys, as /api/kms/tenants/{tenant}/jwks.json serves them",
    },
    { name: "tenant", value: "TENANT", description: "who must have signed; without it, whom each span names" },
    jsonOption,
  ],
  details: [
    "SPANS_FILE is an OTLP trace export: protobuf, JSON, or JSON lines. Fails when any span does not verify, and when there is none.",
  ],
  async run(options, operand) {
    const keysFile = textOf(options, "keys");
    if (keysFile === undefined) throw new UsageError("verify needs --keys FILE");
    const keys = readKeySet(read(keysFile).toString("utf8"));
    const verdicts = verdictsOn(read(operand), keys, textOf(options, "tenant"));
    if (options.json) printJson(toJson(verdicts));
    else print(verdicts);
    return verdicts.length > 0 && verdicts.every(({ verified }) => verified) ? exitCode.ok : exitCode.failed;
  },
};

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function verdictsOn(file: Uint8Array, keys: Keys, tenant: string | undefined): SpanVerdict[] {
  const judge = (span: ReadSpan | KmsError) =>
    span instanceof KmsError ? unreadable(span) : judgeSpan(span, keys, tenant);
  return splitSpanFile(file).flatMap((message) => {
    if (message instanceof KmsError) return [unreadable(message)];
    try {
      return Array.from(readResourceSpans(message), judge);
    } catch (error) {
      if (error instanceof KmsError) return [unreadable(error)];
      throw error;
    }
  });
}

function judgeSpan(span: ReadSpan, keys: Keys, tenant: string | undefined): SpanVerdict {
  const { traceId, spanId, integrity } = span;
  const tenantId = tenant ?? integrity.tenant ?? "";
  const claim = claimOf({ tenantId, span, signed: undefined, logProof: undefined });
  if (isLogClaim(claim)) return { traceId, spanId, ...logVerdict(claim, logSigners(claim, [])) };
  return { traceId, spanId, ...(isClaim(claim) ? verdict(claim, keys.get(claim.keyId)) : claim) };
}

function unreadable(error: KmsError): SpanVerdict {
  return { verified: false, reason: "MALFORMED", message: error.message };
}

function print(verdicts: readonly SpanVerdict[]): void {
  printTable(
    verdicts.map(({ traceId = "-", spanId = "-", reason, keyId = "", keyState = "", signedAt = "", message }) => {
      const about = reason === "OK" ? [signedAt, keyId, keyState].join("  ") : (message ?? explanations[reason]);
      return [`${traceId}/${spanId}`, reason, about];
    }),
  );
  const verified = verdicts.filter((each) => each.verified).length;
  printLine(
    verdicts.length === 0
      ? "there are no spans in the file"
      : `${verified} of ${verdicts.length} verified${verified < verdicts.length ? `, ${verdicts.length - verified} failed` : ""}`,
  );
}

function toJson(verdicts: readonly SpanVerdict[]) {
  const verified = verdicts.filter((each) => each.verified).length;
  return {
    verified,
    failed: verdicts.length - verified,
    spans: verdicts.map(({ traceId, spanId, keyId, keyState, signedAt, ...rest }) => ({
      trace_id: traceId,
      span_id: spanId,
      ...rest,
      key_id: keyId,
      key_state: keyState,
      signed_at: signedAt,
    })),
  };
}
