/** What callers of a service were given, and what is missing or different when they ask again. */
import { status } from "@grpc/grpc-js";
import { create } from "@bufbuild/protobuf";
import { KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { type SignedSpan, SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { type Span, SpanSchema } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { fromNow } from "../support/from-now.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { batchOf, signedOf, spansFrom, withProof } from "../support/span-batches.ts";
import { openStream, type SpanClient } from "../support/stream-client.ts";

export interface Known {
  tenantId: string;
  tokens: { name: string; token: string; value: Uint8Array }[];
  blobs: { ciphertextBlob: Uint8Array; plaintext: Uint8Array }[];
  spans: Span[];
  /** Every key, by id: its purpose, version and state, and whether it was marked. */
  keys: Map<string, string>;
  /** Entries of the tenant's log, if it has one, and its tiles by their paths. */
  logSize: bigint;
  tiles: Map<string, Buffer>;
}

/** Where a service answers. */
export interface Asked {
  client: GrpcClient;
  /** `http://127.0.0.1:port` */
  http: string;
}

/** Something that is gone, or that the service refuses. */
export interface Loss {
  /** Empty for what is of all tenants. */
  tenantId: string;
  /** Empty where it is not known which key it is. */
  keyId: string;
  what: string;
}

/** What a look found. */
export interface Looked {
  losses: Loss[];
  /** Things that no service may ever do: a key made in the place of one that there was, or something else that opens. */
  wrongs: string[];
}

const deadlineMs = 60_000;

/** A tenant's keys, and something made with each. */
export async function makeKnown(client: GrpcClient, tenantId: string): Promise<Known> {
  const known: Known = { tenantId, tokens: [], blobs: [], spans: [], keys: new Map(), logSize: 0n, tiles: new Map() };
  await useKeys(client, known);
  await noteKeys(client, known);
  return known;
}

/** The same with a log of some batches. `grpc` is an address. */
export async function makeKnownWithLog({ client, http, grpc }: Asked & { grpc: string }, tenantId: string) {
  const known = await makeKnown(client, tenantId);
  await appendBatches(grpc, known);
  const width = known.logSize % 256n;
  for (const path of [`tile/entries/000.p/${width}`, `tile/0/000.p/${width}`]) {
    known.tiles.set(path, await tileAt(http, tenantId, path));
  }
  return known;
}

async function tileAt(http: string, tenantId: string, path: string): Promise<Buffer> {
  const answer = await fetch(`${http}/api/kms/tenants/${tenantId}/log/${path}`);
  const body = Buffer.from(await answer.arrayBuffer());
  if (answer.ok) return body;
  throw new Error(`${answer.status} ${body}`);
}

export async function useKeys(client: GrpcClient, { tenantId, tokens, blobs, spans }: Known): Promise<void> {
  const value = Buffer.from(`${tenantId} ${tokens.length}`);
  const { fields } = await client.encryptPii({ tenantId, fields: [{ name: "email", value }] });
  tokens.push(...fields.map(({ name, token }) => ({ name, token, value })));
  blobs.push(await client.generateDataKey({ tenantId }));
  const [span] = spansFrom(1_000 + spans.length, 1_001 + spans.length);
  const { attributes } = await client.signSpan({ tenantId, span: span! });
  spans.push(create(SpanSchema, { ...span!, attributes }));
}

async function appendBatches(target: string, known: Known): Promise<void> {
  const { tenantId, spans } = known;
  const stream = openStream(target, { deadline: fromNow(deadlineMs) });
  try {
    for (let batch = 0; batch < 3; batch += 1) {
      const sent = spansFrom(batch * 40, (batch + 1) * 40);
      await stream.send(batchOf(sent, { tenantId, requestId: `${tenantId}-${batch}`, mode: SignMode.LOG }));
      const signed = await answerOf(stream);
      spans.push(withProof(sent[0]!, tenantId, signed[0]!));
      known.logSize += BigInt(sent.length);
    }
    stream.halfClose();
  } finally {
    stream.close();
  }
}

/** One batch may be answered in several messages. */
async function answerOf(stream: SpanClient): Promise<SignedSpan[]> {
  const signed: SignedSpan[] = [];
  for (;;) {
    const response = await stream.nextResponse();
    signed.push(...signedOf(response));
    if (response!.batchDone) return signed;
  }
}

/** Notes the keys as they are now. */
export async function noteKeys(client: GrpcClient, known: Known): Promise<void> {
  known.keys = await keysOf(client, known.tenantId);
}

async function keysOf(client: GrpcClient, tenantId: string): Promise<Known["keys"]> {
  const { keys } = await client.admin.listKeys({ tenantId, pageSize: 1000 });
  return new Map(
    keys.map(({ version, state, compromisedAt }) => {
      const { keyId, purpose, version: number } = version!;
      return [keyId, `${purpose} v${number} in state ${state}${compromisedAt === undefined ? "" : ", compromised"}`];
    }),
  );
}

/** Asks for all of it again. A call of a key that is not ACTIVE is refused, and nothing is made for it. */
export async function look({ client, http }: Asked, all: readonly Known[]): Promise<Looked> {
  const looked: Looked = { losses: [], wrongs: [] };
  await lookAtTrail(client, looked);
  for (const known of all) {
    await lookAtUses(client, known, looked);
    await lookAtKeys(client, known, looked);
    if (known.logSize > 0n) await lookAtLog({ client, http }, known, looked);
  }
  return looked;
}

async function lookAtTrail(client: GrpcClient, looked: Looked): Promise<void> {
  const answer = await asker("", looked)("the trail", () => client.admin.verifyAudit({}));
  const [problem] = answer?.problems ?? [];
  if (problem !== undefined) looked.losses.push({ tenantId: "", keyId: "", what: `the trail: ${problem.what}` });
}

async function lookAtUses(client: GrpcClient, { tenantId, tokens, blobs, spans, keys }: Known, looked: Looked) {
  const mayRefuse = [...keys.values()].some(hasEnded);
  const ask = asker(tenantId, looked, mayRefuse);
  const made = [
    await ask("a data key", () => client.generateDataKey({ tenantId })),
    await ask("a signature", () => client.signSpan({ tenantId, span: spansFrom(0, 1)[0]! })),
  ];
  for (const { keyId } of made.filter((each) => each !== undefined)) {
    if (!keys.has(keyId)) looked.wrongs.push(`${tenantId} got the new key ${keyId}`);
  }
  const fields = tokens.map(({ name, token }) => ({ name, token }));
  const opened = await ask("its tokens", () => client.decryptPii({ tenantId, fields }));
  opened?.fields.forEach(({ result }, index) => {
    if (result.case !== "value") {
      if (!mayRefuse) looked.losses.push({ tenantId, keyId: "", what: `a token: ${result.value?.message}` });
    } else if (Buffer.compare(result.value, tokens[index]!.value) !== 0)
      looked.wrongs.push(`${tenantId}: another value`);
  });
  for (const { ciphertextBlob, plaintext } of blobs) {
    const answer = await ask("a data key", () => client.decryptDataKey({ tenantId, ciphertextBlob }));
    if (answer && Buffer.compare(answer.plaintext, plaintext) !== 0)
      looked.wrongs.push(`${tenantId}: another data key`);
  }
  for (const span of spans) {
    const answer = await ask("a span", () => client.verifySpan({ tenantId, span }));
    if (answer?.verified === false && ![...keys.values()].some(isMarked))
      looked.losses.push({ tenantId, keyId: "", what: `a span: ${answer.reason}` });
  }
}

/** What was signed by a key that was marked as compromised does not verify. */
function isMarked(key: string): boolean {
  return key.endsWith("compromised");
}

function hasEnded(key: string): boolean {
  return ![KeyState.ACTIVE, KeyState.RETIRED].some((state) => key.endsWith(`in state ${state}`));
}

async function lookAtKeys(client: GrpcClient, { tenantId, keys }: Known, looked: Looked): Promise<void> {
  const present = await asker(tenantId, looked)("its keys", () => keysOf(client, tenantId));
  if (present === undefined) return;
  for (const [keyId, was] of keys) {
    const is = present.get(keyId);
    if (is !== was) looked.losses.push({ tenantId, keyId, what: `was ${was}, and is ${is ?? "gone"}` });
  }
}

async function lookAtLog({ client, http }: Asked, { tenantId, logSize, tiles }: Known, looked: Looked): Promise<void> {
  const answer = await asker(tenantId, looked)("its log", () => client.logs.getCheckpoint({ tenantId }));
  if (answer && answer.head!.size < logSize)
    looked.losses.push({ tenantId, keyId: "", what: `a log of ${answer.head!.size} entries` });
  for (const [path, was] of tiles) {
    const is = await tileAt(http, tenantId, path).catch((error: Error) => error.message);
    if (typeof is === "string" || !is.equals(was)) {
      looked.losses.push({ tenantId, keyId: "", what: `${path}: ${typeof is === "string" ? is : "other bytes"}` });
    }
  }
}

/** A call, whose failure is a loss, unless the tenant has a key that may not be used. */
function asker(tenantId: string, { losses }: Looked, mayRefuse = false) {
  return async <T>(what: string, call: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await call();
    } catch (error) {
      const { code, details } = error as { code?: number; details?: string };
      if (code === undefined) throw error;
      if (!mayRefuse || code !== status.FAILED_PRECONDITION)
        losses.push({ tenantId, keyId: "", what: `${what}: ${status[code]} ${details}` });
      return undefined;
    }
  };
}
