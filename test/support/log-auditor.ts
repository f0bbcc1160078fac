/** An auditor with a file of spans: `verify --log` as a process of its own, and the same in this process, for many files. */
import { checkpointsIn } from "../../src/cli/files.ts";
import { judgeSpans } from "../../src/cli/verify/judged-spans.ts";
import { readKeySet, trustedKeySet } from "../../src/cli/verify/key-set.ts";
import { verifyLogs } from "../../src/cli/verify/log.ts";
import { parseVerifierKey } from "../../src/tlog/verifier-key.ts";
import { directory } from "./config-fixture.ts";
import { type Bytes, hex, intValue, keyValue, len, message, traceId } from "./otlp-wire.ts";
import { inResource } from "./test-log.ts";
import { run } from "./cli-fixture.ts";

export interface Given {
  keys: unknown;
  /** Checkpoints, by the names of their files. */
  kept?: Readonly<Record<string, string>>;
  from?: number;
  to?: number;
  anyOrder?: true;
  tenant?: string;
  vkeys?: readonly string[];
}

export interface Found {
  what: string;
  leaf_index: number | null;
  count: number;
  span: string | null;
}

const spanIdOf = (n: number) => (n + 1).toString(16).padStart(16, "0");
export const nameOf = (n: number): string => `${traceId}/${spanIdOf(n)}`;

/** The n-th span, paying this much. */
export function pay(n: number, amount = n): Bytes {
  return message(
    len(1, hex(traceId)),
    len(2, hex(spanIdOf(n))),
    len(5, "pay"),
    len(9, keyValue("amount", intValue(amount))),
  );
}

/** The evidence of a span, which was signed, on another. */
export function withEvidenceOf(signed: Bytes, plain: Bytes, other: Bytes): Bytes {
  return message(other, signed.subarray(plain.length));
}

export const exported = (spans: readonly Bytes[]): Bytes => message(...spans.map((span) => len(1, inResource(span))));

export async function verifyLog(spans: readonly Bytes[], given: Given, ...args: string[]) {
  const { keys, kept = {}, from, to, tenant, vkeys = [] } = given;
  const cwd = directory({ "keys.json": JSON.stringify(keys), spans: exported(spans), ...kept });
  const values = Object.entries({ from, to, tenant }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  const repeated = [
    ...Object.keys(kept).flatMap((file) => ["--checkpoint", file]),
    ...vkeys.flatMap((vkey) => ["--vkey", vkey]),
  ];
  return run(["verify", "--log", "--keys", "keys.json", ...values, ...repeated, ...args, "spans"], { cwd });
}

/** What is found, in order. Throws unless it is what decides. */
export function audit(spans: readonly Bytes[], given: Given): Found[] {
  const { kept = {}, from, to, anyOrder, tenant, vkeys } = given;
  const all = readKeySet(Buffer.from(JSON.stringify(given.keys)));
  const first = vkeys?.map((vkey) => parseVerifierKey(vkey)!);
  const keys = first === undefined ? all : trustedKeySet(all, first);
  const result = verifyLogs(judgeSpans(exported(spans), keys, tenant), {
    keys,
    kept: Object.entries(kept).flatMap(([file, text]) => checkpointsIn(text, file)),
    from,
    to,
    isOrdered: anyOrder !== true,
  });
  const { logs } = result.json() as { logs: { findings: Found[] }[] };
  const found = logs.flatMap(({ findings }) => findings);
  if (result.ok !== (found.length === 0)) throw new Error("what was found is not what decides");
  return found;
}
