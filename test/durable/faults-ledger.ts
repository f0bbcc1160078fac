/** What a service acknowledged, to be held against it when it has recovered, and when it was killed and started again. */
import { status } from "@grpc/grpc-js";
import { expect } from "vitest";
import { KeyPurpose, KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { failingCalls } from "../faults/failing-calls.ts";
import { plainSpan } from "../support/api-fixture.ts";
import type { GrpcClient } from "../support/running-service.ts";
import type { ProcessOptions } from "../support/service-process.ts";
import { newStoreDir, startFaulty } from "./faults-service.ts";

type Check = (client: GrpcClient) => Promise<void>;

const value = Buffer.from("ann@example.com");

export function createLedger() {
  const tenants = new Set<string>();
  const checks: Check[] = [];
  const disabled = new Set<string>();
  const made = new Set<string>();

  async function checkTenant(client: GrpcClient, tenantId: string): Promise<void> {
    const { keys } = await client.admin.listKeys({ tenantId, pageSize: 1_000 });
    for (const purpose of [KeyPurpose.DATA, KeyPurpose.SIGNING]) {
      const versions = keys.filter(({ version }) => version!.purpose === purpose);
      expect(versions.map(({ version }) => version!.version)).toEqual(versions.map((_, index) => index + 1));
      const actives = versions.filter(({ state }) => state === KeyState.ACTIVE).length;
      const isDisabled = versions.some(({ version }) => disabled.has(version!.keyId));
      if (versions.length > 0 && !isDisabled) expect(actives, `ACTIVE keys of ${tenantId}`).toBe(1);
      expect(actives).toBeLessThanOrEqual(1);
    }
    const ids = new Set(keys.map(({ version }) => version!.keyId));
    for (const id of made) if (id.startsWith(`${tenantId}/`)) expect(ids).toContain(id.slice(tenantId.length + 1));
    for (const { version, state } of keys) if (disabled.has(version!.keyId)) expect(state).toBe(KeyState.DISABLED);
  }

  return {
    /** Encrypts and signs, the first call making the keys. */
    async use(client: GrpcClient, tenantId: string) {
      tenants.add(tenantId);
      const { keyId, fields } = await client.encryptPii({ tenantId, fields: [{ name: "email", value }] });
      made.add(`${tenantId}/${keyId}`);
      checks.push(async (client) => {
        if (disabled.has(keyId)) return;
        const opened = await client.decryptPii({ tenantId, fields });
        expect(opened.fields[0]?.result, `a token of ${tenantId} under ${keyId}`).toEqual({ case: "value", value });
      });
      const { statement, signature, keyId: signedBy } = await client.signSpan({ tenantId, span: plainSpan });
      made.add(`${tenantId}/${signedBy}`);
      const signedStatement = { statement, signature };
      checks.push(async (client) => {
        const evidence = { case: "signedStatement" as const, value: signedStatement };
        const { verified, reason } = await client.verifySpan({ tenantId, span: plainSpan, evidence });
        expect(verified, `a signature of ${tenantId} under ${signedBy}: ${reason}`).toBe(true);
      });
    },

    /** Rotates a data key, as a new request unless it has an id. */
    async rotate(client: GrpcClient, tenantId: string, requestId = "") {
      tenants.add(tenantId);
      const answer = await client.rotate({ tenantId, purpose: KeyPurpose.DATA, force: true, requestId });
      const error = answer.failed[0]?.error;
      if (error !== undefined) throw Object.assign(new Error(error.message), { code: error.code });
      made.add(`${tenantId}/${answer.rotated[0]!.key!.keyId}`);
    },

    async disable(client: GrpcClient, tenantId: string, keyId: string) {
      const { key } = await client.admin.disableKey({ tenantId, keyId });
      expect(key?.state).toBe(KeyState.DISABLED);
      disabled.add(keyId);
    },

    /**
     * All of it opens, verifies and is in the state that was answered; each tenant that was named has one ACTIVE key of a purpose at most,
     * in a row of versions without a gap; and the audit trail is whole.
     */
    async check(client: GrpcClient) {
      for (const check of checks) await check(client);
      for (const tenantId of tenants) await checkTenant(client, tenantId);
      const { ok, problems } = await client.admin.verifyAudit({});
      expect(problems.map(({ what }) => what)).toEqual([]);
      expect(ok).toBe(true);
    },
  };
}

/** A service that meets faults, and a ledger of what it acknowledges. `later` is the environment of its next life. */
export async function startRecorded(env: Record<string, string>, options: ProcessOptions, later = env) {
  const service = await startFaulty(env, options);
  const { client } = service;
  const ledger = createLedger();
  return {
    ...service,
    ledger,
    async use(...tenantIds: string[]) {
      for (const tenantId of tenantIds) await ledger.use(client, tenantId);
    },
    check: () => ledger.check(client),
    /** Nothing that was acknowledged is lost here, nor in a start after this one is killed. */
    async endsWhole() {
      await ledger.check(client);
      await service.kill();
      await ledger.check((await startFaulty(later, options)).client);
    },
  };
}

/** A SQLite store on a disk that `calls` makes fail, and a service on it. */
export function failingDisk(finished: (end: () => void) => void) {
  const store = newStoreDir(finished);
  const calls = failingCalls(store.dir);
  finished(calls.close);
  const env = { ...store.env, ...calls.env };
  return { store, calls, env, start: () => startRecorded(env, { finished }, store.env) };
}

/** What a call may come to while the store fails: the caller may try again. */
export const mayRetry: readonly number[] = [status.UNAVAILABLE, status.ABORTED, status.DEADLINE_EXCEEDED];
