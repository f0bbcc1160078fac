/**
 * What must hold of the logs: every acknowledged entry is where it was said to be, in the tiles and by its proof; the log only grows; no span
 * is in it twice; and every checkpoint that anyone was ever given is a tree of the log as it is now.
 */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { VerifyReason } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { type Checkpoint, parseCheckpoint } from "../../src/tlog/checkpoint.ts";
import { parseHandover, parseLogStatement } from "../../src/attestation/log-entry.ts";
import { emptyTree, growTree, rootOf } from "../../src/tlog/merkle.ts";
import { isIncluded } from "../../src/tlog/verify-proof.ts";
import { parseNote, signersOf } from "../../src/tlog/signed-note.ts";
import { parseLogEvidence } from "../../src/attestation/verify-log-proof.ts";
import { withProof } from "../support/span-batches.ts";
import type { Checker } from "./check.ts";
import type { Batches } from "./batches.ts";
import { inParallel } from "./check-uses.ts";
import { atOnce } from "../../src/service/at-once.ts";
import type { LoggedBatch } from "./ledger.ts";
import { type LogCopy, leafOf, readLog } from "./log-copy.ts";
import { nameIn } from "./names.ts";
import type { CrashClient } from "./service.ts";

/** What callers know of a tenant's log. */
export interface KnownLog {
  /** With an answer, which is theirs to keep. */
  batches: LoggedBatch[];
  /** Every root that was signed, by its size, hex. */
  roots: Map<number, string>;
}

export interface LogsToCheck {
  /** By tenant. */
  known: Map<string, KnownLog>;
  /** Since the last time. */
  batches: readonly LoggedBatch[];
  everything: boolean;
}

/** Of a batch, those that the service itself is asked about. */
const verifiedOfBatch = 2;

/** A batch without an answer is sent twice more: both get the same places, as of one batch. */
export async function resendBatch(
  client: CrashClient,
  batch: LoggedBatch,
  { resend, hold }: Pick<Checker, "hold"> & Pick<Batches, "resend">,
): Promise<void> {
  const [first, second] = [await resend(client, batch), await resend(client, batch)];
  const [one, other] = [first, second].map((signed) => signed?.map(({ leafIndex }) => leafIndex).join());
  const isSame = one === other || one === undefined || other === undefined;
  hold(isSame, () => `batch ${batch.requestId} sent again: at ${one}, and then at ${other}`);
}

export async function checkLogs(
  client: CrashClient,
  { known, batches, everything }: LogsToCheck,
  checker: Checker,
): Promise<void> {
  const fresh = batches.filter(({ answer }) => answer !== undefined);
  for (const batch of fresh) note(known, batch, checker);
  const touched = new Set(batches.map(({ tenantId }) => tenantId).filter((tenantId) => known.has(tenantId)));
  const copies = new Map<string, LogCopy>();
  const checkLog = async (tenantId: string) => {
    const log = known.get(tenantId)!;
    const copy = await readLog(client, tenantId, Math.max(...log.roots.keys()));
    copies.set(tenantId, copy);
    if (copy.checkpoint !== undefined) noteRoot(log, tenantId, checkpointOf(copy.checkpoint), checker);
    else checker.hold(mayLackActive(tenantId, checker), () => `log of ${tenantId}: a key is active, and signs nothing`);
    checkTree(tenantId, log, copy, checker);
    for (const batch of log.batches) checkPlaces(batch, copy, checker);
  };
  await inParallel([...(everything ? known.keys() : touched)], checkLog, atOnce.getCheckpoint);
  const checkNamed = (tenantId: string) => checkHandovers(client, { tenantId, copy: copies.get(tenantId)! }, checker);
  await inParallel([...copies.keys()], checkNamed, atOnce.getPublicKeys);
  const checkAnswer = (batch: LoggedBatch) =>
    checkProofs(client, { batch, copy: copies.get(batch.tenantId)! }, checker);
  await inParallel(fresh, checkAnswer, atOnce.getPublicKeys);
}

function mayLackActive(tenantId: string, { model }: Checker): boolean {
  const keys = model.versions(tenantId, "signing");
  return keys.every(({ keyId }) => model.now(keyId).some(({ state }) => state !== "ACTIVE"));
}

function checkpointOf(text: string): Checkpoint {
  return parseCheckpoint(parseNote(text)!.text)!;
}

/** Whoever asked after another was answered got a tree at least as large. */
function note(known: Map<string, KnownLog>, batch: LoggedBatch, checker: Checker): void {
  const { tenantId, requestId, begunAt } = batch;
  const log: KnownLog = known.get(tenantId) ?? { batches: [], roots: new Map() };
  known.set(tenantId, log);
  const checkpoint = checkpointOf(batch.answer!.checkpoint);
  for (const { endedAt, answer, requestId: earlier } of log.batches) {
    if (endedAt! > begunAt) continue;
    const { size } = checkpointOf(answer!.checkpoint);
    const what = () =>
      `log of ${tenantId}: ${requestId} was answered with ${checkpoint.size} entries, and ${earlier} before with ${size}`;
    checker.hold(size <= checkpoint.size, what);
  }
  log.batches.push(batch);
  noteRoot(log, tenantId, checkpoint, checker);
}

function noteRoot(log: KnownLog, tenantId: string, { size, root }: Checkpoint, { hold }: Checker): void {
  const [before, now] = [log.roots.get(size), Buffer.from(root).toString("hex")];
  hold(before === undefined || before === now, () => `log of ${tenantId}: two checkpoints of ${size} entries differ`);
  log.roots.set(size, now);
}

/** Every tree that was ever signed is one that these leaves lead to. */
function checkTree(tenantId: string, { roots }: KnownLog, { entries, leaves }: LogCopy, { hold }: Checker): void {
  let tree = emptyTree;
  for (const [size, root] of [...roots].sort(([a], [b]) => a - b)) {
    const more = leaves.slice(tree.size, size);
    tree = growTree(tree, Buffer.from(more.join(""), "hex")).after;
    const isThere = tree.size === size && Buffer.from(rootOf(tree)).toString("hex") === root;
    hold(
      isThere,
      () =>
        `log of ${tenantId}: has no tree of ${size} entries with the root that was signed, and ${leaves.length} entries`,
    );
  }
  hold(tree.size === leaves.length, () => `log of ${tenantId}: was read beyond its checkpoint`);
  const names = new Set<string>();
  entries.forEach((entry, index) => {
    hold(leafOf(entry) === leaves[index], () => `log of ${tenantId}: entry ${index} is not that of its leaf hash`);
    const span = parseLogStatement(entry);
    const name = span && `${span.traceId}/${span.spanId}`;
    hold(
      name !== undefined || parseHandover(entry) !== undefined,
      () => `log of ${tenantId}: entry ${index} is neither span nor handover`,
    );
    hold(name === undefined || !names.has(name), () => `log of ${tenantId}: ${name} is there twice, at ${index} too`);
    if (name !== undefined) names.add(name);
  });
}

/** Every acknowledged index still holds its leaf. */
function checkPlaces(
  { tenantId, requestId, spans, answer }: LoggedBatch,
  { entries }: LogCopy,
  { hold }: Checker,
): void {
  hold(answer!.signed.length === spans.length, () => `batch ${requestId}: not as many answers as spans`);
  answer!.signed.forEach(({ leafIndex, signedAt }, at) => {
    const entry = entries[Number(leafIndex)];
    const found = entry && parseLogStatement(entry);
    const [traceId, spanId] = [spans[at]!.traceId, spans[at]!.spanId].map((id) => Buffer.from(id).toString("hex"));
    const isSame = found?.traceId === traceId && found?.spanId === spanId && found?.tenant === tenantId;
    const isThen = found?.signedAt === timestampDate(signedAt!).toISOString();
    hold(
      isSame && isThen,
      () => `batch ${requestId}: span ${at} of ${tenantId} is not at ${leafIndex}, where it was said to be`,
    );
  });
}

/** A log names a key exactly if that came into use, and then the handover has its proof. */
async function checkHandovers(
  client: CrashClient,
  { tenantId, copy }: { tenantId: string; copy: LogCopy },
  { hold }: Checker,
): Promise<void> {
  const { keys, handovers } = await client.getPublicKeys({ tenantId });
  const ids = new Set(keys.map(({ keyId }) => keyId));
  const proven = new Map(handovers.filter(({ proof }) => proof !== "").map((each) => [each.leafIndex, each.toKeyId]));
  hold(proven.size === handovers.length, () => `log of ${tenantId}: has a handover without a proof`);
  for (const [index, toKeyId] of proven) {
    hold(ids.has(toKeyId), () => `log of ${tenantId}: entry ${index} hands over to ${toKeyId}, which is no key`);
  }
  copy.entries.forEach((entry, index) => {
    const named = parseHandover(entry)?.toKeyId;
    hold(
      named === proven.get(BigInt(index)),
      () => `log of ${tenantId}: entry ${index} names ${named}, and no list does`,
    );
  });
}

/** What the callers were given proves their entries, by itself; and the service says so. */
async function checkProofs(
  client: CrashClient,
  { batch, copy }: { batch: LoggedBatch; copy: LogCopy },
  checker: Checker,
): Promise<void> {
  const { tenantId, requestId, spans, answer, begunAt } = batch;
  const { hold, model } = checker;
  const { keys } = await client.getPublicKeys({ tenantId });
  const checkpoint = checkpointOf(answer!.checkpoint);
  const verifiers = keys.map(({ keyId, raw }) => ({ name: checkpoint.origin, publicKey: raw, keyId }));
  const signers = signersOf(parseNote(answer!.checkpoint)!, verifiers);
  const wasActive = signers?.some(({ keyId }) => model.since(keyId, begunAt).some(({ state }) => state === "ACTIVE"));
  hold(wasActive === true, () => `batch ${requestId}: no key signed its checkpoint that was active then`);
  for (const [at, { leafIndex, proof }] of answer!.signed.entries()) {
    const evidence = parseLogEvidence(proof);
    const isAt = evidence?.index === Number(leafIndex) && proof.endsWith(`\n\n${answer!.checkpoint}`);
    const leaf = Buffer.from(copy.leaves[Number(leafIndex)] ?? "", "hex");
    const isProven = isAt && isIncluded({ ...evidence!, leaf }, checkpoint);
    hold(isProven, () => `batch ${requestId}: the proof of span ${at} does not prove ${leafIndex}`);
    if (at >= verifiedOfBatch) continue;
    const span = withProof(spans[at]!, tenantId, answer!.signed[at]!);
    const { verified, reason } = await client.verifySpan({ tenantId, span });
    const isCompromised = signers?.every(({ keyId }) => model.now(keyId)[0]?.compromised === true);
    const isRight = verified || (isCompromised === true && reason === VerifyReason.KEY_COMPROMISED);
    hold(isRight, () => `batch ${requestId}: span ${at} of ${tenantId} is judged ${nameIn(VerifyReason, reason)}`);
  }
}
