/** Evidence to make cases from: of a real service, and of tenants whose keys come from a seed, with all that somebody may have kept of it. */
import { type History, writtenHistory } from "../../../clients/conformance/judge/log-cases.ts";
import type { SignedParts } from "../../../clients/conformance/judge/evidence.ts";
import { endedLogs, goodKeySet } from "../../../clients/conformance/judge/key-sets.ts";
import { randomParts } from "../../../clients/conformance/judge/random-spans.ts";
import { loggingTenant } from "../../../clients/conformance/judge/service-tenant.ts";
import { firstDayMs, testTenant, type TestTenant } from "../../../clients/conformance/judge/test-tenant.ts";
import { type Random, randomFrom } from "../../crash/random.ts";
import type { RunningService } from "../../support/running-service.ts";

export type Json = Record<string, unknown>;

export interface KeySetJson {
  keys: Json[];
  handovers: Json[];
  ended_logs?: Json[];
  [member: string]: unknown;
}

export interface World {
  tenant: string;
  /** Entries of its logs, in order; those of one log behind those of the other. */
  logged: readonly SignedParts[];
  /** Signed apart. */
  alone: readonly SignedParts[];
  /** By keys that are not the tenant's, or in the name of another tenant. */
  forged: readonly SignedParts[];
  /** The entries as another history under the same keys has them; may be empty. */
  rewritten: readonly SignedParts[];
  keys: KeySetJson;
  /** Notes, in the order in which they were signed. */
  checkpoints: readonly string[];
  /** Notes of another history, and of another tenant. */
  otherCheckpoints: readonly string[];
}

const fromSeed = 14;

/** The same worlds from the same seed, except the keys and times of those that the service signs. */
export async function worldsOf(seed: number, service: RunningService): Promise<World[]> {
  const r = randomFrom(seed);
  const made = Array.from({ length: fromSeed }, () => seededWorld(r));
  const served = [];
  for (const tenant of ["page-one", "page-two"]) served.push(await servedWorld(service, tenant, r));
  return [...made, ...served];
}

/** Of no service: its two logs and its five keys are as the seed has them. */
function seededWorld(r: Random): World {
  const seeds = Array.from({ length: 3 + r.below(8) }, () => r.below(2 ** 31));
  const forked = r.below(seeds.length);
  const own = writtenHistory(seeds);
  const other = writtenHistory(seeds.map((each, i) => (i < forked ? each : each + 1)));
  const stranger = writtenHistory(seeds.slice(0, 3), "globex");
  const keys: KeySetJson = goodKeySet(own.tenant);
  const hasSecond = own.tenant.logs[1].head().size > 0;
  return {
    tenant: own.tenant.name,
    logged: own.spans,
    alone: own.tenant.keys.flatMap((key, day) =>
      Array.from({ length: 3 }, () =>
        own.tenant.signAlone(randomParts(r), key, firstDayMs + day * dayMs + r.below(dayMs)),
      ),
    ),
    forged: [...forgedSpans(own, r), ...stranger.spans],
    rewritten: other.spans,
    keys: hasSecond ? { ...keys, ended_logs: endedLogs(own.tenant).slice(0, 1) } : keys,
    checkpoints: own.checkpoints,
    otherCheckpoints: [...other.checkpoints, ...stranger.checkpoints],
  };
}

const dayMs = 86_400_000;

/** By keys that say they are the tenant's, and by one of the tenant's that says it is another's. */
function forgedSpans({ tenant }: History, r: Random): SignedParts[] {
  const [key] = tenant.keys as [TestTenant["keys"][0]];
  const { key: foreignKey, keyId: foreignId } = testTenant("nobody").keys[0]!;
  const withItsId = { ...key, key: foreignKey };
  const log = testTenant(tenant.name).logs[0];
  // A key set does not say whose it is.
  const others = ["acme-2", "acme.2", "acme_2", "a"].map((name) => testTenant(name));
  return [
    ...others.map((other) => other.signAlone(randomParts(r), key, firstDayMs)),
    tenant.signAlone(randomParts(r), withItsId, firstDayMs),
    tenant.signAlone(randomParts(r), { ...withItsId, keyId: foreignId }, firstDayMs),
    ...log.sign([randomParts(r), randomParts(r)], firstDayMs, [withItsId]),
    ...log.sign([randomParts(r)], firstDayMs, [withItsId, key]),
  ];
}

/** Three keys of a real tenant, the last of which signs on; another tenant's spans are the forged ones. */
async function servedWorld(service: RunningService, tenant: string, r: Random): Promise<World> {
  const own = await loggingTenant(service, tenant, r);
  const other = await loggingTenant(service, `${tenant}-other`, r);
  return {
    tenant,
    logged: own.logged,
    alone: own.alone,
    forged: [...other.logged.slice(0, 4), ...other.alone.slice(0, 4)],
    rewritten: [],
    keys: JSON.parse(own.jwks) as KeySetJson,
    checkpoints: own.checkpoints,
    otherCheckpoints: other.checkpoints,
  };
}
