/** Validate: the operator's first tool. tests.ts has its tests; here are the answer and what it recommends. */
import { create } from "@bufbuild/protobuf";
import type { Time } from "../../../runtime/time.ts";
import {
  Outcome,
  type ProviderKey,
  ProviderKeySchema,
  type ValidateRequest,
  type ValidateResponse,
  ValidateResponseSchema,
} from "../../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { type Notice, notice } from "../../../notices.ts";
import type { Provider, ProviderKeyReport, ProviderKeyState } from "../../../provider/provider.ts";
import type { CallContext } from "../../../call/context.ts";
import { checkTenantId } from "../../../call/ids.ts";
import { roleOf } from "../../../call/roles.ts";
import { createTurns, type Turns } from "../../../runtime/turns/one-at-a-time.ts";
import { createProbe, type Probe } from "./probe.ts";
import { type RecommendationParts, recommendationsOn } from "./recommendations.ts";
import { lookAtKeys, othersThan, tryPaths, type ValidatedProvider, type ValidationParts } from "./tests.ts";

export interface ValidateParts extends ValidationParts, RecommendationParts {
  /** What `work` cost: calls that reached a provider, by operation. */
  countProviderCalls<T>(work: () => Promise<T>): Promise<{ answer: T; calls: ReadonlyMap<string, number> }>;
  /** Told of an error that is a bug. */
  unexpected?(error: unknown): void;
  /** Have it run one at a time: its provider calls are paid for, and take turns with those of callers. */
  validateTurns?: Turns;
  time: Time;
}

const probeTenant = "fluo-kms-probe";
const operations: readonly string[] = ["describe", "inspect", "generate_data_key", "encrypt", "decrypt"];

export function validateHandlers(parts: ValidateParts) {
  const { time, validateTurns = createTurns({ time }) } = parts;

  /** Undefined where the tenant's own provider key is not open, which is the first test then, and fails. */
  async function providerOf(tenantId: string, probe: Probe): Promise<ValidatedProvider | undefined> {
    try {
      return parts.providerOf(tenantId);
    } catch (error) {
      await probe.test("describe_key", [], () => {
        throw error;
      });
      return undefined;
    }
  }

  return {
    async validate(request: ValidateRequest, call: CallContext): Promise<ValidateResponse> {
      const tenantId = request.tenantId === "" ? probeTenant : checkTenantId(request.tenantId);
      call.caller.every(roleOf.validate);
      const probe = createProbe({ signal: call.signal, unexpected: parts.unexpected, time });
      const used = await providerOf(tenantId, probe);
      if (used === undefined) return notOpen(probe);
      const run = async () => {
        const validated = { tenantId, used, call, probe };
        const seen = await lookAtKeys(parts, validated);
        await tryPaths(parts, validated);
        return seen;
      };
      const counted = () => parts.countProviderCalls(run);
      const { answer: looks, calls } = await validateTurns.take(call.caller.name, call.signal, counted);
      const times = {
        cacheMissMs: passedIn(probe, "key_retrieval_cache_miss"),
        cacheHitMs: passedIn(probe, "key_retrieval_cache_hit"),
      };
      const provider = used.unguarded.name;
      const isPassed = probe.tests.every(({ outcome }) => outcome === Outcome.PASS);
      return create(ValidateResponseSchema, {
        provider,
        overall: isPassed ? Outcome.PASS : Outcome.FAIL,
        tests: [...probe.tests],
        latencyMs: {
          generate_data_key: passedIn(probe, "generate_data_key"),
          cache_miss: times.cacheMissMs,
          cache_hit: times.cacheHitMs,
        },
        ...recommended(
          recommendationsOn(parts, { isPassed, advice: probe.advice, key: looks.key, provider, ...times }),
        ),
        key: keySeen(used.unguarded, looks.key),
        otherKeys: othersThan(used, parts.watches).map(({ provider }, at) => keySeen(provider, looks.others[at])),
        providerCalls: Object.fromEntries(inOrder(calls).map(([operation, count]) => [operation, BigInt(count)])),
      });
    },
  };
}

/** Nothing else can be tried. Which provider it is nobody has asked yet. */
function notOpen({ tests, advice }: Probe): ValidateResponse {
  const found = advice.map((text) => notice("TEST_FAILED", text));
  return create(ValidateResponseSchema, { overall: Outcome.FAIL, tests: [...tests], ...recommended(found) });
}

function recommended(found: readonly Notice[]) {
  return { recommendations: found.map(({ text }) => text), recommendationDetails: [...found] };
}

/** The looks are made at once: they are told in one order, whichever ends first. */
function inOrder(calls: ReadonlyMap<string, number>): [operation: string, count: number][] {
  return [...calls].sort(([one], [other]) => operations.indexOf(one) - operations.indexOf(other));
}

/** Milliseconds of a test that passed, and 0 for one that did not: how long a failure takes says nothing about requests. */
function passedIn({ tests }: Probe, wanted: string): number {
  return tests.find(({ name, outcome }) => name === wanted && outcome === Outcome.PASS)?.latencyMs ?? 0;
}

/** The provider's clock is known to the second. */
const leastSkewMs = 2_000;

function keySeen(provider: Provider, seen: ProviderKeyState | ProviderKeyReport | undefined): ProviderKey {
  const { name, keyId, region = "" } = provider;
  const { detail = "", clockSkewMs } = seen ?? {};
  const rotation = seen !== undefined && "rotation" in seen ? (seen.rotation ?? "") : "";
  const skew = clockSkewMs === undefined ? undefined : Math.abs(clockSkewMs) < leastSkewMs ? 0 : clockSkewMs;
  return create(ProviderKeySchema, {
    provider: name,
    keyId,
    region,
    state: detail,
    rotation,
    ...(skew !== undefined && { clockSkewMs: BigInt(Math.round(skew)) }),
  });
}
