/**
 * Calls on a service at a fixed rate, whatever becomes of those before (an open loop): one that waits does not slow the others, so that
 * every caller's wait is seen. Each call is timed from when it was due.
 */
import { type ServiceError, status } from "@grpc/grpc-js";
import { plainSpan } from "../support/api-fixture.ts";
import { fromNow } from "../support/from-now.ts";
import type { GrpcClient } from "../support/running-service.ts";

export interface Made {
  name: string;
  tenantId: string;
  /** When it was due, by `performance.now()`. */
  atMs: number;
  ms: number;
  /** `OK`, or gRPC's name for the failure and its words. */
  outcome: string;
}

export interface LoadLoop {
  /** Calls that have ended. */
  readonly made: readonly Made[];
  /** Begins no more, and resolves when all that began have ended. */
  stop(): Promise<readonly Made[]>;
}

export type Operation = (kms: GrpcClient, tenantId: string) => Promise<unknown>;

export interface LoopOptions {
  kms: GrpcClient;
  perSecond: number;
  /** Taken in turn. */
  operations: Readonly<Record<string, Operation>>;
  /** Asked before each call. */
  tenant: (turn: number) => string;
}

/** Longer than the service waits for its provider, so that what is seen is its own answer. */
const deadlineMs = 30_000;
const tickMs = 5;

export function loadLoop({ kms, perSecond, operations, tenant }: LoopOptions): LoadLoop {
  const made: Made[] = [];
  const running = new Set<Promise<void>>();
  const all = Object.entries(operations);
  const startedMs = performance.now();
  let turn = 0;

  async function one(atMs: number): Promise<void> {
    const [name, operation] = all[turn % all.length]!;
    const tenantId = tenant(Math.floor(turn / all.length));
    turn += 1;
    const outcome = await operation(kms, tenantId).then(() => "OK", outcomeOf);
    made.push({ name, tenantId, atMs, ms: performance.now() - atMs, outcome });
  }

  const timer = setInterval(() => {
    const nowMs = performance.now();
    for (let atMs = dueAt(turn); atMs <= nowMs; atMs = dueAt(turn)) {
      const call = one(atMs).finally(() => running.delete(call));
      running.add(call);
    }
  }, tickMs);

  function dueAt(call: number): number {
    return startedMs + (call * 1_000) / perSecond;
  }

  return {
    made,
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
      return made;
    },
  };
}

/** By the four operations that need a tenant's key; `tokens` are what the tenants have to decrypt. */
export function keyOperations(tokens: ReadonlyMap<string, string>): Record<string, Operation> {
  return {
    EncryptPii: (kms, tenantId) => kms.encryptPii({ tenantId, fields: [{ name: "email", value }] }, within()),
    DecryptPii: (kms, tenantId) => decrypt(kms, tenantId, tokens.get(tenantId)!),
    SignSpan: (kms, tenantId) => kms.signSpan({ tenantId, span: plainSpan }, within()),
    GenerateDataKey: (kms, tenantId) => kms.generateDataKey({ tenantId }, within()),
  };
}

/** Of a tenant that was never heard of: its key must be made. */
export const coldOperations: Record<string, Operation> = {
  "cold EncryptPii": (kms, tenantId) => kms.encryptPii({ tenantId, fields: [{ name: "email", value }] }, within()),
  "cold SignSpan": (kms, tenantId) => kms.signSpan({ tenantId, span: plainSpan }, within()),
};

const value = Buffer.from("ann@example.com");

async function decrypt(kms: GrpcClient, tenantId: string, token: string): Promise<void> {
  const { fields } = await kms.decryptPii({ tenantId, fields: [{ name: "email", token }] }, within());
  const { result } = fields[0]!;
  if (result.case !== "value") throw new Error(`a token was not decrypted: ${result.value?.message}`);
  if (!value.equals(result.value)) throw new Error("a token is another value");
}

/** Every tenant gets its keys, and a token of its own to decrypt. */
export async function firstCalls(kms: GrpcClient, tenantIds: readonly string[]): Promise<Map<string, string>> {
  const tokens = new Map<string, string>();
  await Promise.all(
    tenantIds.map(async (tenantId) => {
      const { fields } = await kms.encryptPii({ tenantId, fields: [{ name: "email", value }] });
      tokens.set(tenantId, fields[0]!.token);
      await kms.signSpan({ tenantId, span: plainSpan });
    }),
  );
  return tokens;
}

function within() {
  return { deadline: fromNow(deadlineMs) };
}

function outcomeOf(error: Partial<ServiceError>): string {
  return error.code === undefined ? String(error) : `${status[error.code]}: ${error.details}`;
}
