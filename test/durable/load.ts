/** Calls of every kind on many tenants, in flight all the time, while keys are rotated; each answer is checked, each call timed. */
import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import { Outcome } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import type { SpanSchema } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { plainSpan } from "../support/api-fixture.ts";
import type { GrpcClient } from "../support/running-service.ts";

export interface LoadOptions {
  services: readonly GrpcClient[];
  tenantIds: readonly string[];
  seconds: number;
  /** The load goes on while this is true, too. */
  goesOn?: () => boolean;
  /** The load goes on until so many have ended: a slow machine needs longer. */
  leastRotations: number;
  inFlight: number;
  /** Between the starts of two rotations. */
  rotateEveryMs: number;
}

export interface Timed {
  name: string;
  ms: number;
  /** Begun while a key of its tenant was being rotated. */
  duringRotation: boolean;
}

export interface LoadResult {
  calls: Timed[];
  /** What failed or was not as it should be, with its name. */
  failures: string[];
  /** In milliseconds. */
  rotations: number[];
}

/** What earlier calls gave back, a tenant. */
interface Earlier {
  spans: Kept<MessageInitShape<typeof SpanSchema>>;
  tokens: Kept<{ value: string; token: string }>;
  dataKeys: Kept<{ plaintext: Uint8Array; ciphertextBlob: Uint8Array }>;
}

interface Call {
  kms: GrpcClient;
  tenantId: string;
  earlier: Earlier;
}

/** Rejects where the answer is not as it should be. Undefined where it needs something earlier and there is nothing yet. */
type Operation = (call: Call) => Promise<void> | undefined;

const name = "email";

const operations: Readonly<Record<string, Operation>> = {
  async signSpan({ kms, tenantId, earlier }) {
    const span = { ...plainSpan, name: `GET /accounts/${randomInt(1_000_000)}` };
    const { attributes } = await kms.signSpan({ tenantId, span });
    earlier.spans.keep({ ...span, attributes });
  },

  verifySpan({ kms, tenantId, earlier }) {
    return earlier.spans.one(async (span) => {
      const { verified, reason } = await kms.verifySpan({ tenantId, span });
      check(verified, `a span is not verified: reason ${reason}`);
    });
  },

  async encryptPii({ kms, tenantId, earlier }) {
    const value = `ann-${randomInt(1_000_000)}@example.com`;
    const { fields } = await kms.encryptPii({ tenantId, fields: [{ name, value: Buffer.from(value) }] });
    earlier.tokens.keep({ value, token: fields[0]!.token });
  },

  decryptPii({ kms, tenantId, earlier }) {
    return earlier.tokens.one(async ({ value, token }) => {
      const { fields } = await kms.decryptPii({ tenantId, fields: [{ name, token }] });
      check(fields[0]?.result.case === "value", `a token was not decrypted: ${errorOf(fields[0])}`);
      check(Buffer.from(fields[0].result.value).toString() === value, "a token is another value");
    });
  },

  reEncryptPii({ kms, tenantId, earlier }) {
    return earlier.tokens.one(async ({ value, token }) => {
      const { fields } = await kms.reEncryptPii({ tenantId, fields: [{ name, token }] });
      check(fields[0]?.result.case === "token", `a token was not encrypted anew: ${errorOf(fields[0])}`);
      earlier.tokens.keep({ value, token: fields[0].result.value });
    });
  },

  async generateDataKey({ kms, tenantId, earlier }) {
    earlier.dataKeys.keep(await kms.generateDataKey({ tenantId }));
  },

  decryptDataKey({ kms, tenantId, earlier }) {
    return earlier.dataKeys.one(async ({ plaintext, ciphertextBlob }) => {
      const answer = await kms.decryptDataKey({ tenantId, ciphertextBlob });
      check(Buffer.compare(answer.plaintext, plaintext) === 0, "a data key is another");
    });
  },

  async getPublicKeys({ kms, tenantId }) {
    const { keys } = await inTurn(() => kms.getPublicKeys({ tenantId }));
    check(keys.length > 0, "there are no public keys");
  },

  async status({ kms, tenantId }) {
    await inTurn(() => kms.status({ tenantId }));
  },

  async validate({ kms }) {
    const answer = await kms.validate({}).catch((error) => {
      if (error.code !== status.RESOURCE_EXHAUSTED) throw error;
    });
    if (answer === undefined) return; // one runs at a time
    const { overall, tests } = answer;
    const failed = tests
      .filter(({ outcome }) => outcome !== Outcome.PASS)
      .map((test) => `${test.name} ${test.message}`);
    check(overall === Outcome.PASS, `validation failed: ${failed.join(", ")}`);
  },

  async listKeys({ kms, tenantId }) {
    const { keys } = await inTurn(() => kms.admin.listKeys({ tenantId }));
    check(keys.length >= 2, "keys are not listed");
  },

  async listAuditEvents({ kms, tenantId }) {
    const { events } = await inTurn(() => kms.admin.listAuditEvents({ tenantId, pageSize: 20 }));
    check(events.length >= 2, "audit events are not listed");
  },
};

/** Few of these run at once. A client that is refused tries again, as ours do. */
async function inTurn<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if ((error as ServiceError).code !== status.RESOURCE_EXHAUSTED) throw error;
      await delay(50);
    }
  }
}

/** The hot ones more often than the operator's. */
const weights: Readonly<Record<string, number>> = { status: 1, validate: 1, listKeys: 1, listAuditEvents: 1 };
const hotWeight = 8;
const deck = Object.keys(operations).flatMap((each) => new Array<string>(weights[each] ?? hotWeight).fill(each));

export async function runLoad({
  services,
  tenantIds,
  seconds,
  leastRotations,
  inFlight,
  rotateEveryMs,
  ...options
}: LoadOptions): Promise<LoadResult> {
  const result: LoadResult = { calls: [], failures: [], rotations: [] };
  const earlier = new Map(tenantIds.map((tenantId) => [tenantId, nothingYet()]));
  const rotating = new Set<string>();
  const endsAt = performance.now() + seconds * 1_000;
  const goesOn = () =>
    performance.now() < endsAt || result.rotations.length < leastRotations || options.goesOn?.() === true;

  async function timed(what: string, tenantId: string, work: () => Promise<void>): Promise<number> {
    const duringRotation = rotating.has(tenantId);
    const beganAt = performance.now();
    await work().catch((error) => result.failures.push(`${what}: ${error.message}`));
    const ms = performance.now() - beganAt;
    result.calls.push({ name: what, ms, duringRotation });
    return ms;
  }

  async function callOn(): Promise<void> {
    while (goesOn()) {
      const what = pick(deck);
      const tenantId = pick(tenantIds);
      const call = { kms: pick(services), tenantId, earlier: earlier.get(tenantId)! };
      const working = operations[what]!(call);
      if (working !== undefined) await timed(what, tenantId, () => working);
    }
  }

  async function rotate(): Promise<void> {
    const tenantId = pick(tenantIds.filter((each) => !rotating.has(each)));
    const kms = pick(services);
    const ms = await timed("rotate", tenantId, async () => {
      rotating.add(tenantId);
      const { rotated, failed } = await kms.rotate({ tenantId, force: true }).finally(() => rotating.delete(tenantId));
      check(rotated.length === 2 && failed.length === 0, `a rotation failed: ${failed[0]?.error?.message}`);
    });
    result.rotations.push(ms);
  }

  /** However long one takes, the next begins. */
  async function rotateOn(): Promise<void> {
    const running: Promise<void>[] = [];
    while (goesOn()) {
      if (rotating.size < tenantIds.length) running.push(rotate());
      await delay(rotateEveryMs);
    }
    await Promise.all(running);
  }

  for (const tenantId of tenantIds) {
    await services[0]!.signSpan({ tenantId, span: plainSpan });
    await services[0]!.generateDataKey({ tenantId });
  }
  await Promise.all([rotateOn(), ...Array.from({ length: inFlight }, callOn)]);
  return result;
}

export interface Summary {
  count: number;
  p50: number;
  p99: number;
  max: number;
}

/** In milliseconds. */
export function summary(ms: readonly number[]): Summary {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

function nothingYet(): Earlier {
  return { spans: kept(), tokens: kept(), dataKeys: kept() };
}

interface Kept<T> {
  keep(item: T): void;
  /** With any of them, old or new. */
  one(work: (item: T) => Promise<void>): Promise<void> | undefined;
}

const mostKept = 500;

/** Once it is full a new one takes a random one's place, so that some stay from the beginning. */
function kept<T>(): Kept<T> {
  const items: T[] = [];
  return {
    keep(item) {
      items[items.length < mostKept ? items.length : randomInt(mostKept)] = item;
    },
    one: (work) => (items.length === 0 ? undefined : work(pick(items))),
  };
}

function pick<T>(values: readonly T[]): T {
  return values[randomInt(values.length)]!;
}

function errorOf(field: { result: { value?: unknown } } | undefined): string {
  return (field?.result.value as { message?: string } | undefined)?.message ?? "no answer";
}

function check(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new Error(problem);
}
