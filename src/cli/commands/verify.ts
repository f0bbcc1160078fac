/** `verify`: were these spans signed by this tenant, and are they unchanged, and all there? Needs the public keys and no service. */
import { setImmediate as turn } from "node:timers/promises";
import { parseIndex } from "../../encoding/digits.ts";
import { parseVerifierKey } from "../../tlog/verifier-key.ts";
import { closingLines } from "../../verification-report/closing-lines.ts";
import { serviceName, version } from "../../version.ts";
import { checkpointsIn, readFile } from "../files.ts";
import {
  type Command,
  exitCode,
  Failure,
  jsonOption,
  type OptionValues,
  textOf,
  textsOf,
  UsageError,
} from "../command.ts";
import { countSpans, type JudgedSpan, judgedSpans } from "../verify/judged-spans.ts";
import { factsOf, type GivenFile } from "../verify/report-facts.ts";
import { type KeySet, readKeySet, trustedKeySet } from "../verify/key-set.ts";
import { printJson, printLine } from "../print.ts";
import { startProgress } from "../progress.ts";
import { splitSpanFile } from "../verify/span-file.ts";
import { verifyEach } from "../verify/each-span.ts";
import { type LogScope, verifyLogs } from "../verify/log.ts";
import { reportOptions, writeReport } from "../verify/report.ts";

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
    {
      name: "vkey",
      value: "VKEY",
      repeatable: true,
      description: "trust this key alone, and those that it hands over to; may be given several times",
    },
    { name: "log", description: "check that the spans are all of the log's, in its order, from the first to the last" },
    {
      name: "checkpoint",
      value: "FILE",
      repeatable: true,
      description: "with --log: checkpoints that you kept, one or several in a file; may be given several times",
    },
    { name: "from", value: "SIZE", description: "with --log: begin behind the first SIZE entries" },
    { name: "to", value: "SIZE", description: "with --log: end with the first SIZE entries" },
    { name: "any-order", description: "with --log: the file is in no order, as from a store that keeps none" },
    {
      name: "report",
      value: "FILE",
      description: "write a report of one page, in HTML, to a file that does not exist yet",
    },
    {
      name: "date",
      value: "DATE",
      description: "with --report: its date, by default now; the same date gives the same report",
    },
    { name: "kept-by", value: "WHO", description: "with --report: who kept the checkpoints, in your words" },
    jsonOption,
  ],
  details: [
    "SPANS_FILE is an OTLP trace export: protobuf, JSON, or JSON lines. Fails when any span does not verify, and when there is none. A span",
    "without any evidence is UNSIGNED. Of spans of a log it says which entries they are.",
    "",
    "With --log it also fails when a span of the log is missing, repeated or out of order, and when the log's history was rewritten; it names",
    "the first span concerned. Checked are the entries from the first span in the file, or from the smallest --checkpoint if that is earlier,",
    "to the end of the largest checkpoint, kept or in a span's proof. A checkpoint that you kept, and it alone, shows that whoever has the key",
    "rewrote the log, or cut off its end. What only a compromised key signed verifies where another key's checkpoint, or the head that was",
    "recorded when it was marked, comes out of the spans.",
    "",
  ],
  async run(options, operand) {
    const keysFile = textOf(options, "keys");
    if (keysFile === undefined) throw new UsageError("verify needs --keys FILE");
    const scope = logScope(options);
    const report = reportOptions(options);
    const [tenant, vkeys] = [textOf(options, "tenant"), textsOf(options, "vkey")];
    const keysGiven = given("keys", keysFile);
    const keys = trusted(readKeySet(keysGiven.bytes), vkeys);
    const spansGiven = given("spans", operand);
    const spans = await judged(spansGiven.bytes, keys, tenant);
    const checkpoints = textsOf(options, "checkpoint").map((name) => given("checkpoints", name));
    const kept = checkpoints.flatMap(({ name, bytes }) => checkpointsIn(bytes.toString("utf8"), name));
    const result =
      scope === undefined ? { ...verifyEach(spans), logs: [] } : verifyLogs(spans, { ...scope, keys, kept });
    const asked = { log: scope !== undefined, tenant, vkeys, from: scope?.from, to: scope?.to };
    const isOrdered = scope?.isOrdered ?? true;
    if (report !== undefined) {
      const files = [spansGiven, keysGiven, ...checkpoints];
      const question = { ...asked, anyOrder: !isOrdered, keptBy: report.keptBy };
      const facts = factsOf(question, files, { keys, spans, logs: result.logs });
      writeReport(report, facts, `${serviceName} ${version}`);
    }
    if (options.json) printJson(result.json());
    else {
      result.print();
      const hasChecked = (asked.log ? result.logs : spans).length > 0;
      const performed = { log: asked.log, ordered: isOrdered, kept: checkpoints.length > 0, pinned: vkeys.length > 0 };
      for (const line of hasChecked ? closingLines(performed) : []) printLine(line);
    }
    return result.ok ? exitCode.ok : exitCode.failed;
  },
};

function given(role: GivenFile["role"], name: string) {
  return { role, name, bytes: readFile(name) };
}

/** Spans judged between two turns of the event loop, in which Ctrl-C is heard. */
const spansATurn = 100;

async function judged(file: Uint8Array, keys: KeySet, tenant: string | undefined): Promise<JudgedSpan[]> {
  const progress = startProgress();
  const spans: JudgedSpan[] = [];
  try {
    const messages = splitSpanFile(file);
    const total = countSpans(messages);
    progress.next(); // reading the file says nothing of how long the spans take
    for (const span of judgedSpans(messages, keys, tenant)) {
      spans.push(span);
      if (spans.length % spansATurn > 0) continue;
      progress.show(`${spans.length} of ${total} spans`, spans.length, total);
      await turn();
    }
    return spans;
  } finally {
    progress.end();
  }
}

/** What of the logs to verify; undefined where each span is for itself. */
function logScope(options: OptionValues): LogScope | undefined {
  if (options.log !== true) {
    const only = ["checkpoint", "from", "to", "any-order"].find((name) => options[name] !== undefined);
    if (only !== undefined) throw new UsageError(`--${only} is for --log`);
    return undefined;
  }
  const [from, to] = [sizeOf(options, "from"), sizeOf(options, "to")];
  if (from !== undefined && to !== undefined && from >= to) throw new UsageError("--from must be below --to");
  return { from, to, isOrdered: options["any-order"] !== true };
}

function sizeOf(options: OptionValues, name: string): number | undefined {
  const text = textOf(options, name);
  const size = text === undefined ? undefined : parseIndex(text);
  if (text !== undefined && size === undefined) throw new UsageError(`--${name} is a number of entries`);
  return size;
}

/** The keys that these lead to, where there are some. */
function trusted(keys: KeySet, vkeys: readonly string[]): KeySet {
  if (vkeys.length === 0) return keys;
  const first = vkeys.map((text) => {
    const key = parseVerifierKey(text);
    if (key === undefined) throw new UsageError("--vkey is NAME+ID+KEY, as the keys file has them");
    if (!keys.logKeys.some(({ publicKey }) => Buffer.compare(publicKey, key.publicKey) === 0))
      throw new Failure(`the keys file has no key ${text}`);
    return key;
  });
  return trustedKeySet(keys, first);
}
