/** Cases of `verify --log`: a random log of a random tenant, and its spans as somebody hands them over, whole or not. */
import type { Random } from "../../../test/crash/random.ts";
import { randomFrom } from "../../../test/crash/random.ts";
import { len, message } from "../../../test/support/otlp-wire.ts";
import { checkpointText } from "../../../src/tlog/checkpoint.ts";
import { signNote } from "../../../src/tlog/signed-note.ts";
import { attributeFields, attributesOf, base64, exportOf, resourceSpansOf, type SignedParts } from "./evidence.ts";
import { endedLogs, goodKeySet, type KeySetText, randomKeySet } from "./key-sets.ts";
import { randomParts, type SpanParts } from "./random-spans.ts";
import type { LogOptions } from "./reference.ts";
import { firstDayMs, type TenantKey, type TestTenant, testTenant } from "./test-tenant.ts";

export interface LogStory {
  keySet: KeySetText;
  tenant?: string;
  /** Base64. */
  export: string;
  log: LogOptions;
}

/** What was written to a tenant's logs, by one who writes it as it is, and by one who writes another history under the same keys. */
export interface History {
  tenant: TestTenant;
  /** Sorted by log: those of the first log come first. */
  spans: SignedParts[];
  /** Signed notes, of each log at many sizes. */
  checkpoints: string[];
}

const tenantName = "acme";

/** Steps that two histories take alike as long as their seeds are. */
export function writtenHistory(seeds: readonly number[], name = tenantName): History {
  const tenant = testTenant(name);
  const history: History = { tenant, spans: [], checkpoints: [] };
  const [first, second] = tenant.logs;
  let [log, at]: [typeof first, number] = [first, 0];
  for (const seed of seeds) {
    const r = randomFrom(seed);
    const key = tenant.keys[at]!;
    const next = tenant.keys[at + 1];
    const kind = r.weighted({
      batch: 60,
      handover: next === undefined ? 0 : 15,
      unused: 8,
      restore: log === first ? 3 : 0,
    });
    if (kind === "batch") {
      const batch = Array.from({ length: 1 + r.below(3) }, () => randomParts(r));
      history.spans.push(...log.sign(batch, firstDayMs + at * 86_400_000, [key]));
    } else if (kind === "handover") {
      log.handOver(key, next!, [key, next!]);
      at += 1;
    } else if (kind === "unused") log.handOver(key, r.pick(tenant.keys)!, []);
    else log = second;
    if (r.chance(0.6)) history.checkpoints.push(checkpointOf(log, key));
  }
  return history;
}

function checkpointOf(log: TestTenant["logs"][0], { key }: TenantKey): string {
  return signNote(checkpointText(log.head()), { name: log.origin, key });
}

export function logStory(r: Random): LogStory {
  const seeds = Array.from({ length: 2 + r.below(7) }, () => r.below(2 ** 31));
  const forked = r.below(seeds.length);
  const own = writtenHistory(seeds);
  const other = writtenHistory(seeds.map((seed, i) => (i < forked ? seed : seed + 1)));
  const spans = handedOver(own, other, r);
  const kept = r.pick([own, own, own, other])!;
  const checkpoints = kept.checkpoints
    .filter(() => r.chance(0.4))
    .map((note) => (r.chance(0.06) ? wrongNote(note, r) : note));
  const bound = () => r.below(12);
  return {
    keySet: r.chance(0.6) ? servedKeySet(own.tenant, r) : randomKeySet(own.tenant, r),
    ...(r.chance(0.3) && { tenant: r.chance(0.9) ? tenantName : "other" }),
    export: base64(exportOf(...spans.map(resourceSpansOf))),
    log: {
      ...((checkpoints.length > 0 || r.chance(0.2)) && { checkpoints: inFiles(checkpoints, r) }),
      ...(r.chance(0.12) && { from: bound() }),
      ...(r.chance(0.12) && { to: bound() + 6 }),
      ...(r.chance(0.2) && { anyOrder: true }),
    },
  };
}

function servedKeySet(tenant: TestTenant, r: Random): KeySetText {
  const ended = r.chance(0.3) ? { ended_logs: endedLogs(tenant).slice(0, 1) } : {};
  const { keys, handovers } = goodKeySet(tenant);
  // What it signed proves nothing yet.
  if (r.chance(0.15)) keys[r.below(2)]!.state = "PENDING";
  return { jwks: JSON.stringify({ keys, handovers, ...ended }) };
}

/** One checkpoint a file, or all in one. */
function inFiles(checkpoints: readonly string[], r: Random): string[] {
  if (checkpoints.length < 2 || r.chance(0.7)) return [...checkpoints];
  return [checkpoints.join(r.pick(["", "\n", "\n\n"])!)];
}

export function wrongNote(note: string, r: Random): string {
  return r.pick([
    () => note.replaceAll("\n", "\r\n"),
    () => `\ufeff${note}`,
    () => note.replace(/\n\d+\n/, "\n7\n"),
    () => note.slice(0, -5),
    () => note.replace(/^[^\n]*/, "kms.example.com/nobody"),
    () => `${note}\nx\n`,
    () => note.replace(/\n— /, "\n\n— "),
    () => "",
  ])!();
}

type Span = SignedParts & { attributes?: undefined };

/** The spans with their evidence, of which some may be gone, doubled, moved, changed, of the other history, or of no log. */
function handedOver(own: History, other: History, r: Random): SpanParts[] {
  const twin = new Map(other.spans.map((span, i) => [i, span]));
  let spans: Span[] = [...own.spans];
  if (r.chance(0.25)) spans = spans.filter(() => r.chance(0.8));
  if (r.chance(0.2)) spans = spans.map((span, i) => (r.chance(0.3) ? (twin.get(i) ?? span) : span));
  if (r.chance(0.1)) spans = [...other.spans];
  if (r.chance(0.15)) spans = spans.flatMap((span) => (r.chance(0.2) ? [span, span] : [span]));
  if (r.chance(0.15)) spans = spans.toSorted(() => r.next() - 0.5);
  if (r.chance(0.1)) spans = spans.slice(0, r.below(spans.length + 1));
  if (r.chance(0.15))
    spans.splice(r.below(spans.length + 1), 0, own.tenant.signAlone(randomParts(r), own.tenant.keys[0]!, firstDayMs));
  const changes = r.chance(0.3) ? 0.3 : 0;
  return spans.map((span) => (r.chance(changes) ? changed(span, r) : carried(span)));
}

function carried(span: SignedParts): SpanParts {
  return { ...span, span: message(span.span, ...attributeFields(attributesOf(span))) };
}

function changed(span: SignedParts, r: Random): SpanParts {
  const name = (text: string) => message(span.span, len(9, message(len(1, text), len(2, len(1, "x")))));
  return r.pick<() => SpanParts>([
    () => carried({ ...span, span: name("added") }),
    () => ({ ...span }), // without evidence
    () => carried({ ...span, tenant: "other" }),
    () => ({ ...span, span: message(carried(span).span, len(99, "")) }),
    () => carried({ ...span, signedAt: "2026-03-01T12:00:00.001Z" }),
    () =>
      carried({
        ...span,
        evidence:
          span.evidence.kind === "log"
            ? { ...span.evidence, proof: span.evidence.proof.replace(/index \d+/, "index 3") }
            : span.evidence,
      }),
  ])!();
}
