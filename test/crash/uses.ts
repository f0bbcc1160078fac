/** Calls that use a key: what they make is remembered with what it was made from. */
import { status } from "@grpc/grpc-js";
import { fromNow } from "../support/from-now.ts";
import type { Attempt, Load, Tenant } from "./driver.ts";
import type { Ledger, Purpose, Use } from "./ledger.ts";
import type { Random } from "./random.ts";

export interface UsesParts {
  random: Random;
  ledger: Ledger;
  attempt: Attempt;
  problem(what: string): void;
}

type Call = (load: Load, tenant: Tenant) => Promise<void>;

export interface Uses {
  encrypt: Call;
  sign: Call;
  generate: Call;
  reEncrypt: Call;
  /** Those that make a tenant's first key. */
  makers: readonly Call[];
}

/** Of a tenant, for ReEncryptPii. */
const tokensKept = 20;

export function usesOf({ random, ledger, attempt, problem }: UsesParts): Uses {
  /** The answer of a call that uses a tenant's ACTIVE key. */
  async function using<T>(load: Load, tenant: Tenant, purpose: Purpose, call: () => Promise<T>) {
    const begunAt = performance.now();
    const outcome = await attempt(load, `the use of a ${purpose} key of ${tenant.id}`, call);
    const endedAt = performance.now();
    const asked = { tenantId: tenant.id, purpose, begunAt, endedAt };
    if (outcome?.refused === status.FAILED_PRECONDITION) ledger.refusals.push({ ...asked, keyId: undefined });
    else if (outcome?.refused) problem(`the use of a ${purpose} key of ${tenant.id} answered ABORTED`);
    return outcome?.answer === undefined ? undefined : { asked, answer: outcome.answer };
  }

  function keep(tenant: Tenant, use: Use): void {
    ledger.uses.push(use);
    if (!tenant.keys.has(use.keyId)) tenant.keys.set(use.keyId, { purpose: use.purpose, guess: "ACTIVE" });
    if (use.kind !== "token") return;
    tenant.tokens.push(use);
    if (tenant.tokens.length > tokensKept) tenant.tokens.shift();
  }

  const context = (): Record<string, string> => (random.chance(0.5) ? {} : { case: String(random.below(1000)) });

  const encrypt: Call = async (load, tenant) => {
    const pairs = context();
    const fields = Array.from({ length: 1 + random.below(3) }, (_, index) => ({
      name: `field-${index}`,
      value: random.bytes(random.below(64)),
    }));
    const request = { tenantId: tenant.id, fields, encryptionContext: pairs };
    const used = await using(load, tenant, "data", () => load.client.encryptPii(request, deadline()));
    used?.answer.fields.forEach(({ name, token }, index) => {
      const { value } = fields[index]!;
      keep(tenant, { ...used.asked, kind: "token", keyId: used.answer.keyId, name, token, value, context: pairs });
    });
  };

  const sign: Call = async (load, tenant) => {
    const span = { traceId: random.bytes(16), spanId: random.bytes(8), name: `step ${random.below(1000)}` };
    const request = { tenantId: tenant.id, span };
    const used = await using(load, tenant, "signing", () => load.client.signSpan(request, deadline()));
    if (used === undefined) return;
    const { keyId, statement, signature, attributes } = used.answer;
    keep(tenant, {
      ...used.asked,
      kind: "signature",
      keyId,
      span: { ...span, attributes },
      signed: { statement, signature },
    });
  };

  const generate: Call = async (load, tenant) => {
    const pairs = context();
    const request = { tenantId: tenant.id, encryptionContext: pairs };
    const used = await using(load, tenant, "data", () => load.client.generateDataKey(request, deadline()));
    if (used === undefined) return;
    const { keyId, plaintext, ciphertextBlob: blob } = used.answer;
    keep(tenant, { ...used.asked, kind: "data key", keyId, blob, plaintext, context: pairs });
  };

  const reEncrypt: Call = async (load, tenant) => {
    const old = random.pick(tenant.tokens);
    if (old === undefined) return;
    const { name, token, value, context: pairs } = old;
    const request = { tenantId: tenant.id, fields: [{ name, token }], encryptionContext: pairs };
    const used = await using(load, tenant, "data", () => load.client.reEncryptPii(request, deadline()));
    if (used === undefined) return;
    const { keyId, fields } = used.answer;
    const { result } = fields[0]!;
    if (result.case === "token") {
      keep(tenant, { ...used.asked, kind: "token", keyId, name, token: result.value, value, context: pairs });
    } else if (result.value?.code === status.FAILED_PRECONDITION) {
      ledger.refusals.push({ ...used.asked, keyId: old.keyId });
    } else {
      problem(`ReEncryptPii of a token under ${old.keyId}: ${result.value?.code} ${result.value?.message}`);
    }
  };

  return { encrypt, sign, generate, reEncrypt, makers: [encrypt, sign, generate] };
}

const callMs = 15_000;

/** Longer than any answer takes, killed or not: whoever is later, hangs. */
export function deadline(): { deadline: Date } {
  return { deadline: fromNow(callMs) };
}
