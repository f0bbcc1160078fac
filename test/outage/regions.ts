/** The first of two regions goes, in one way, while keys are used and made. */
import { setTimeout as delay } from "node:timers/promises";
import { hungMs } from "../support/hung.ts";
import { coldOperations, keyOperations, loadLoop, type Made } from "./load-loop.ts";
import { begin, isTotal, type Mode } from "./modes.ts";
import { type OutageService, statusWhere } from "./service.ts";

export interface RegionReport {
  mode: Mode;
  cached: readonly Made[];
  cold: readonly Made[];
  /** What breakers and health said while the region was gone, once its breaker was open. */
  breakers: readonly string[];
  notices: readonly string[];
  /** The one that Status says is in use then, and once the first is back. */
  regionInUse: string | undefined;
  regionAfter: string | undefined;
  /** Requests at the second region meanwhile. */
  atSecond: number;
  /** From the region's return to a key that was made there again. */
  returnedAfterMs: number;
}

export interface RegionRun {
  service: OutageService;
  tokens: ReadonlyMap<string, string>;
  mode: Mode;
  seconds: number;
}

export async function runWithoutRegion({ service, tokens, mode, seconds }: RegionRun): Promise<RegionReport> {
  const { kms, fakes } = service;
  const [first, second] = [fakes[0], fakes[1]!];
  const tenantIds = [...tokens.keys()];
  const tenant = (turn: number) => tenantIds[turn % tenantIds.length]!;
  const load = loadLoop({ kms, perSecond: 200, operations: keyOperations(tokens), tenant });
  const beganMs = performance.now();
  const atSecondBefore = second.log.length;
  await begin(mode, first);
  const cold = loadLoop({ kms, perSecond: 2, operations: coldOperations, tenant: (turn) => `${mode}-${turn}` });
  const isOpen = isTotal(mode)
    ? await statusWhere(kms, ({ breakers }) => breakers[0]?.state !== "closed")
    : await kms.status({});
  if (isOpen === undefined) throw new Error("the breaker of the first region did not open");
  await delay(Math.max(0, beganMs + seconds * 1_000 - performance.now()));
  const status = await kms.status({});
  const atSecond = second.log.length - atSecondBefore;
  const coldMade = await cold.stop();
  await first.heal();
  const returnedAfterMs = await untilUsed(service, mode);
  const regionAfter = (await kms.status({})).providerKeys[0]?.region;
  return {
    mode,
    cached: await load.stop(),
    cold: coldMade,
    breakers: status.breakers.map(({ name, state }) => `${name} ${state}`),
    notices: status.notices,
    regionInUse: status.providerKeys[0]?.region,
    regionAfter,
    atSecond,
    returnedAfterMs,
  };
}

/** Keys are made for new tenants until one is made in the first region. */
async function untilUsed({ kms, fakes: [first] }: OutageService, mode: Mode): Promise<number> {
  const startedMs = performance.now();
  const before = first.calls.GenerateDataKey ?? 0;
  for (let turn = 0; performance.now() - startedMs < hungMs; turn += 1) {
    await kms.generateDataKey({ tenantId: `${mode}-back-${turn}` });
    if ((first.calls.GenerateDataKey ?? 0) > before) return performance.now() - startedMs;
    await delay(50);
  }
  return Number.POSITIVE_INFINITY;
}
