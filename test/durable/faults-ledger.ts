/** What a service acknowledged, to be held against it when it has recovered, and when it was killed and started again. */
import { status } from "@grpc/grpc-js";
import { expect } from "vitest";
import { KeyPurpose, KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { plainSpan } from "../support/api-fixture.ts";
import type { GrpcClient } from "../support/running-service.ts";

export interface Ledger {
  /** Encrypts and signs, the first call making the keys. */
  use(client: GrpcClient, tenantId: string): Promise<void>;
  /** Rotates a data key, as a new request unless it has an id. */
  rotate(client: GrpcClient, tenantId: string, requestId?: string): Promise<void>;
  disable(client: GrpcClient, tenantId: string, keyId: string): Promise<void>;
  /**
   * All of it opens, verifies and is in the state that was answered; each tenant that was named has one ACTIVE key of a purpose at most,
   * in a row of versions without a gap; and the audit trail is whole.
   */
  check(client: GrpcClient): Promise<void>;
}

type Check = (client: GrpcClient) => Promise<void>;

const value = Buffer.from("ann@example.com");

export function createLedger(): Ledger {
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
    async use(client, tenantId) {
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

    async rotate(client, tenantId, requestId = "") {
      tenants.add(tenantId);
      const answer = await client.rotate({ tenantId, purpose: KeyPurpose.DATA, force: true, requestId });
      const error = answer.failed[0]?.error;
      if (error !== undefined) throw Object.assign(new Error(error.message), { code: error.code });
      made.add(`${tenantId}/${answer.rotated[0]!.key!.keyId}`);
    },

    async disable(client, tenantId, keyId) {
      const { key } = await client.admin.disableKey({ tenantId, keyId });
      expect(key?.state).toBe(KeyState.DISABLED);
      disabled.add(keyId);
    },

    async check(client) {
      for (const check of checks) await check(client);
      for (const tenantId of tenants) await checkTenant(client, tenantId);
      const { ok, problems } = await client.admin.verifyAudit({});
      expect(problems.map(({ what }) => what)).toEqual([]);
      expect(ok).toBe(true);
    },
  };
}

/** What a call may come to while the store fails: the caller may try again. */
export const mayRetry: readonly number[] = [status.UNAVAILABLE, status.ABORTED, status.DEADLINE_EXCEEDED];
