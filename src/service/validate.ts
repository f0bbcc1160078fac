/**
 * Validate: the operator's first tool. It takes the paths that requests take, on a probe tenant in a store of its own that is
 * thrown away, with the real provider: create a data and a signing key (4 provider calls), get one again past the cache and
 * from the cache (1 call), wrap and unwrap (2), sign, verify, encrypt, decrypt; then what must be refused (2). 9 calls in all.
 */
import { randomBytes } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  Outcome,
  type ValidateRequest,
  type ValidateResponse,
  ValidateResponseSchema,
  type ValidationTest,
  ValidationTestSchema,
} from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { SignSpanRequestSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { SpanSchema } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { canonicalPairs } from "../crypto/context.ts";
import { dataKeyBytes, deriveDataKeys } from "../crypto/data-key.ts";
import { KmsError } from "../errors.ts";
import type { Keyring } from "../keys/keyring.ts";
import { type FieldPlace, openField, readToken, sealField } from "../pii/field.ts";
import type { Provider } from "../provider/provider.ts";
import { readSignSpanRequest } from "../span/request.ts";
import { signSpan } from "../span/sign.ts";
import { claimOf, isClaim, verdict } from "../span/verify.ts";
import type { CallContext } from "./context.ts";
import type { KeyTimer } from "./key-timer.ts";

export interface ValidateParts {
  provider: Provider;
  keyTimer: KeyTimer;
  /** Keyrings over one store of their own: the second finds the first one's keys, with an empty cache. */
  probeKeyrings(): { first: Keyring; second: Keyring; close(): void };
  /** What is always worth saying about this configuration. */
  recommendations: readonly string[];
  clock: () => Date;
}

const probeTenant = "fluo-kms-probe";
const slowHitMs = 10;
const slowMissMs = 100;

export function validateHandlers(parts: ValidateParts) {
  return {
    async validate(request: ValidateRequest, call: CallContext): Promise<ValidateResponse> {
      call.caller.require("operator");
      const tenantId = request.tenantId === "" ? probeTenant : call.caller.tenant(request.tenantId);
      const tests = await runTests(parts, tenantId, call);
      const latency = (name: string) => tests.find((test) => test.name === name)?.latencyMs ?? 0;
      const latencyMs = {
        generate_data_key: latency("generate_data_key"),
        cache_miss: latency("key_retrieval_cache_miss"),
        cache_hit: latency("key_retrieval_cache_hit"),
      };
      return create(ValidateResponseSchema, {
        provider: parts.provider.name,
        overall: tests.every(({ outcome }) => outcome === Outcome.PASS) ? Outcome.PASS : Outcome.FAIL,
        tests,
        latencyMs,
        recommendations: [...parts.recommendations, ...speedAdvice(latencyMs)],
      });
    },
  };
}

async function runTests(parts: ValidateParts, tenantId: string, call: CallContext): Promise<ValidationTest[]> {
  const { provider, keyTimer } = parts;
  const { first, second, close } = parts.probeKeyrings();
  const tests: ValidationTest[] = [];
  const context = { tenant_id: tenantId, purpose: "data", key_id: randomBytes(16).toString("hex") };
  const place: FieldPlace = { tenantId, name: "email", contextPairs: canonicalPairs(new Map([["probe", "1"]])) };
  const value = randomBytes(24);

  /** Runs one test; later tests that need its result fail by themselves when it is missing. */
  async function test<T>(name: string, run: () => T | Promise<T>): Promise<T | undefined> {
    const startedMs = performance.now();
    let problem = "";
    let result: T | undefined;
    try {
      result = await run();
    } catch (error) {
      problem =
        error instanceof KmsError ? `${error.code}: ${error.message}` : "internal error: see the log of the service";
    }
    const outcome = problem === "" ? Outcome.PASS : Outcome.FAIL;
    tests.push(
      create(ValidationTestSchema, { name, outcome, latencyMs: performance.now() - startedMs, message: problem }),
    );
    return result;
  }

  /** Passes when `run` is refused as every authenticity failure is. */
  function refusal(name: string, run: () => unknown): Promise<unknown> {
    return test(name, async () => {
      try {
        await run();
      } catch (error) {
        if (error instanceof KmsError && error.code === "CIPHERTEXT_REJECTED") return;
        throw error;
      }
      throw new KmsError("INTERNAL", "was accepted and must be refused");
    });
  }

  try {
    const dataKey = await test("generate_data_key", () => first.activeDataKey(tenantId, call));
    const signing = await test("generate_signing_key", () => first.activeSigningKey(tenantId, call));
    await test("key_retrieval_cache_miss", () => keyTimer.encryption(() => second.activeDataKey(tenantId, call)));
    await test("key_retrieval_cache_hit", () => keyTimer.encryption(() => second.activeDataKey(tenantId, call)));
    // Timed once it is cached: how long a throw-away key takes to make says nothing about requests.
    await keyTimer.signing(() => first.activeSigningKey(tenantId, call));
    const wrapped = await test("encrypt", () => provider.encrypt(value, context, call.signal));
    await test("decrypt", async () => expectSame(await provider.decrypt(need(wrapped), context, call.signal), value));
    const token = await test("encrypt_pii", () => sealField(need(dataKey), place, value));
    const open = (key: typeof dataKey, at: FieldPlace, text: string) =>
      openField(need(key).material, at, readToken(text));
    await test("decrypt_pii", () => expectSame(open(dataKey, place, need(token)), value));
    const span = readSignSpanRequest(probeSpan("probe")).span;
    const signed = await test("sign_span", () => {
      const { keyId, key } = need(signing);
      return signSpan(span, { tenant: tenantId, keyId, key }, parts.clock().getTime());
    });
    const verify = async (name: string): Promise<boolean> => {
      const about = readSignSpanRequest(probeSpan(name)).span;
      const claim = claimOf({ tenantId, span: about, signed: need(signed), logProof: undefined });
      if (!isClaim(claim)) return claim.verified;
      return verdict(claim, await first.publicKey(tenantId, claim.keyId, call)).verified;
    };
    await test("verify_span", async () => expectTrue(await verify("probe")));

    await refusal("refuse_wrong_context", () =>
      provider.decrypt(need(wrapped), { ...context, tenant_id: `${probeTenant}-other` }, call.signal),
    );
    await refusal("refuse_flipped_bit", () => provider.decrypt(flipped(need(wrapped)), context, call.signal));
    await refusal("refuse_wrong_tenant", () => open(dataKey, { ...place, tenantId: "another-tenant" }, need(token)));
    await refusal("refuse_wrong_field", () => open(dataKey, { ...place, name: "phone" }, need(token)));
    await test("refuse_changed_span", async () => expectTrue(!(await verify("another name"))));
    const otherKey = { ...need(dataKey), material: deriveDataKeys(randomBytes(dataKeyBytes)), destroy() {} };
    await refusal("refuse_wrong_key", () => open(otherKey, place, need(token)));
    return tests;
  } finally {
    close();
  }
}

/** A SignSpanRequest with a span of this name. */
function probeSpan(name: string): Uint8Array {
  const span = create(SpanSchema, { traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 1), name });
  return toBinary(SignSpanRequestSchema, create(SignSpanRequestSchema, { span }));
}

function need<T>(result: T | undefined): T {
  if (result === undefined)
    throw new KmsError("PROVIDER_UNAVAILABLE", "an earlier test, which this one builds on, failed");
  return result;
}

function expectSame(got: Uint8Array, expected: Uint8Array): void {
  expectTrue(Buffer.compare(got, expected) === 0);
}

function expectTrue(holds: boolean): void {
  if (!holds) throw new KmsError("INTERNAL", "gave another answer than it must");
}

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length - 1]! ^= 1;
  return copy;
}

function speedAdvice({ cache_hit, cache_miss }: { cache_hit: number; cache_miss: number }): string[] {
  const advice: string[] = [];
  if (cache_hit >= slowHitMs) {
    advice.push(
      `A cached key took ${cache_hit.toFixed(0)} ms: the process is short of CPU; give it more, or more replicas.`,
    );
  }
  if (cache_miss >= slowMissMs) {
    advice.push(
      `A key that is not cached took ${cache_miss.toFixed(0)} ms: use a provider region nearer by, or a longer kms.cache.ttl.`,
    );
  }
  return advice;
}
