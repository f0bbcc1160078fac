/** Calls that change keys, each with a request id of its own: the audit trail tells which of them happened. */
import { status } from "@grpc/grpc-js";
import type { Key } from "../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import { KeyPurpose, KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import type { RotateResponse } from "../../gen/ts/fluo/kms/v1/rotation_pb.ts";
import type { GrpcClient } from "../support/running-service.ts";
import type { Attempt, Load, Tenant } from "./driver.ts";
import type { Change, Ledger, Operation, State } from "./ledger.ts";
import { answeredKey, purposeNumbers } from "./names.ts";
import type { Random } from "./random.ts";
import { deadline } from "./uses.ts";

export interface ChangesParts {
  random: Random;
  ledger: Ledger;
  attempt: Attempt;
  problem(what: string): void;
  epoch: number;
}

export interface Changes {
  rotate(load: Load, tenant: Tenant): Promise<void>;
  /** One that makes sense for what the key is believed to be, or, now and then, any. */
  changeKey(load: Load, tenant: Tenant): Promise<void>;
  /** Re-wraps a page of keys, while others change them. */
  rewrap(load: Load): Promise<void>;
  /** Schedules the destruction of a tenant's oldest key that may be scheduled. */
  schedule(load: Load, tenant: Tenant): Promise<void>;
  /** Sends a Rotate again, and writes down its answer. */
  retry(client: GrpcClient, operation: Operation): Promise<RotateResponse>;
}

type KeyChange = Exclude<Change, "rotate">;
type ChangedKey = { key?: Key | undefined; replacement?: Key | undefined };
type KeyCall = (
  client: GrpcClient,
  request: { tenantId: string; keyId: string; requestId: string },
) => Promise<ChangedKey>;

const calls: Readonly<Record<KeyChange, KeyCall>> = {
  disable: ({ admin }, request) => admin.disableKey(request, deadline()),
  enable: ({ admin }, request) => admin.enableKey(request, deadline()),
  mark_compromised: ({ admin }, request) => admin.markKeyCompromised(request, deadline()),
  schedule_destruction: ({ admin }, request) => admin.scheduleKeyDestruction({ ...request, days: 7 }, deadline()),
  cancel_destruction: ({ admin }, request) => admin.cancelKeyDestruction(request, deadline()),
};

const allChanges = Object.keys(calls) as KeyChange[];

const sensible: Readonly<Record<State, readonly KeyChange[]>> = {
  ACTIVE: ["disable", "disable", "mark_compromised", "schedule_destruction"],
  RETIRED: ["disable", "mark_compromised", "schedule_destruction"],
  DISABLED: ["enable", "enable", "enable", "schedule_destruction"],
  COMPROMISED: ["schedule_destruction"],
  DESTROY_SCHEDULED: ["cancel_destruction", "cancel_destruction", "mark_compromised"],
  DESTROYED: ["mark_compromised"],
};

export function changesOf({ random, ledger, attempt, problem, epoch }: ChangesParts): Changes {
  let lastRequest = 0;

  function begin(change: Change, about: Pick<Operation, "tenantId" | "purpose" | "keyId">): Operation {
    lastRequest += 1;
    const requestId = `r${epoch}-${lastRequest}`;
    const asked = { begunAt: performance.now(), endedAt: undefined, outcome: "unknown" as const, answer: [] };
    const operation: Operation = { ...about, ...asked, change, requestId };
    ledger.operations.push(operation);
    return operation;
  }

  async function ask(load: Load, tenant: Tenant, keyId: string, change: KeyChange): Promise<void> {
    const { purpose } = tenant.keys.get(keyId)!;
    const operation = begin(change, { tenantId: tenant.id, purpose, keyId });
    const request = { tenantId: tenant.id, keyId, requestId: operation.requestId };
    const outcome = await attempt(load, `${change} of ${keyId}`, () => calls[change](load.client, request));
    if (outcome === undefined) return;
    operation.endedAt = performance.now();
    if (outcome.answer === undefined) {
      operation.outcome = outcome.refused === status.ABORTED ? "lost race" : "refused";
      return;
    }
    operation.outcome = "acknowledged";
    const { key, replacement } = outcome.answer;
    note(tenant, operation, [key!, ...(replacement ? [replacement] : [])]);
  }

  function note(tenant: Tenant, operation: Operation, keys: readonly Pick<Key, "version" | "state">[]): void {
    for (const key of keys.map(answeredKey)) {
      operation.answer.push(key);
      tenant.keys.set(key.keyId, { purpose: key.purpose, guess: key.state });
    }
  }

  function conclude(operation: Operation, { rotated, failed, skipped }: RotateResponse): void {
    for (const { key } of skipped) problem(`${operation.requestId}: a forced rotation skipped ${key?.keyId}`);
    for (const { error } of failed) {
      if (error?.code === status.ABORTED) continue;
      if (error?.code === status.UNAVAILABLE) return; // it may have been stored
      problem(`${operation.requestId}: a rotation failed: ${error?.code} ${error?.message}`);
    }
    operation.outcome = "acknowledged";
    operation.endedAt = performance.now();
    operation.answer = rotated.map(({ key }) => answeredKey({ version: key!, state: KeyState.ACTIVE }));
  }

  const send = (client: GrpcClient, { tenantId, purpose, requestId }: Operation) => {
    const number = purpose === undefined ? KeyPurpose.UNSPECIFIED : purposeNumbers[purpose];
    return client.rotate({ tenantId, purpose: number, force: true, requestId }, deadline());
  };

  return {
    async rotate(load, tenant) {
      const { purpose } = random.pick([...tenant.keys.values()])!;
      const asked = { tenantId: tenant.id, purpose: random.chance(0.4) ? undefined : purpose, keyId: "" };
      const operation = begin("rotate", asked);
      const outcome = await attempt(load, `Rotate of ${tenant.id}`, () => send(load.client, operation));
      if (outcome === undefined) return;
      if (outcome.answer === undefined) return problem(`Rotate of ${tenant.id} answered ${status[outcome.refused]}`);
      conclude(operation, outcome.answer);
      for (const { keyId, purpose: of } of operation.answer) tenant.keys.set(keyId, { purpose: of, guess: "ACTIVE" });
    },

    async changeKey(load, tenant) {
      const recent = [...tenant.keys].slice(-6);
      const [keyId, { guess }] = random.pick(recent)!;
      const change = random.chance(0.15) ? random.pick(allChanges)! : random.pick(sensible[guess])!;
      await ask(load, tenant, keyId, change);
    },

    async rewrap(load) {
      const call = () => load.client.admin.rewrapKeys({ pageSize: 30 }, deadline());
      const outcome = await attempt(load, "RewrapKeys", call);
      if (outcome === undefined) return;
      if (outcome.answer === undefined) return problem(`RewrapKeys answered ${status[outcome.refused]}`);
      const { failed, interrupted } = outcome.answer;
      const errors = [interrupted, ...failed.map(({ error }) => error)].filter((error) => error !== undefined);
      const serious = errors.filter(({ code }) => code !== status.ABORTED); // others were first, thrice
      if (serious.length > 0) problem(`RewrapKeys: ${serious.map(({ message }) => message).join("; ")}`);
    },

    async schedule(load, tenant) {
      const found = [...tenant.keys].find(([, { guess }]) => guess !== "DESTROYED" && guess !== "DESTROY_SCHEDULED");
      if (found) await ask(load, tenant, found[0], "schedule_destruction");
    },

    async retry(client, operation) {
      const answer = await send(client, operation);
      conclude(operation, answer);
      return answer;
    },
  };
}
