/**
 * One store from its first key to a last look at everything: what was acknowledged in it, and the checks after each kill. They look at
 * what was touched since the kill before, and a few older things of the same keys; the last one at all there is.
 */
import {
  awaitDestruction,
  type Checker,
  checkAudit,
  checkOperation,
  checkRefusal,
  checkTenants,
  checkUse,
  retryRotate,
} from "./check.ts";
import { checkLogs, type KnownLog, resendBatch } from "./check-logs.ts";
import { checkUses, inParallel } from "./check-uses.ts";
import { createDriver, type Driver } from "./driver.ts";
import { emptyLedger, type Operation, type Use } from "./ledger.ts";
import { createModel } from "./model.ts";
import type { Random } from "./random.ts";
import type { CrashClient } from "./service.ts";
import { trailReader } from "./trail.ts";

export interface Totals {
  acknowledged: Record<Use["kind"] | "entry" | "change", number>;
  unknownChanges: number;
  unknownBatches: number;
  /** Openings and verifications, of some things more than once. */
  opened: number;
  /** Things that were found to be as they must be. */
  checks: number;
}

export interface Epoch {
  driver: Driver;
  /** `days`: how much later it is for the service than it is. */
  check(client: CrashClient, scope: { days: number; everything: boolean }): Promise<void>;
  checker: Checker;
}

export interface EpochOptions {
  number: number;
  random: Random;
  totals: Totals;
  problem(what: string): void;
}

const olderUses = 3;

export function emptyTotals(): Totals {
  const acknowledged = { token: 0, "data key": 0, signature: 0, entry: 0, change: 0 };
  return { acknowledged, unknownChanges: 0, unknownBatches: 0, opened: 0, checks: 0 };
}

export function startEpoch({ number, random, totals, problem }: EpochOptions): Epoch {
  const ledger = emptyLedger();
  const operations = new Map<string, Operation>();
  const firstUses = new Map<string, number>();
  const usesByKey = new Map<string, Use[]>();
  const logs = new Map<string, KnownLog>();
  /** Of the service that was called last. */
  let daysBefore = 0;
  const model = createModel({
    operation: (requestId) => operations.get(requestId),
    firstUse: (keyId) => firstUses.get(keyId),
    problem,
  });
  const checker: Checker = {
    model,
    problem,
    hold(isTrue, what) {
      totals.checks += 1;
      if (!isTrue) problem(what());
    },
  };
  const trail = trailReader();
  const driver = createDriver({ random, ledger, epoch: number, problem });

  /** What was written down since the last time. */
  function take() {
    const { operations: asked, uses, refusals, batches } = ledger;
    Object.assign(ledger, emptyLedger());
    for (const operation of asked) operations.set(operation.requestId, operation);
    for (const use of uses) {
      totals.acknowledged[use.kind] += 1;
      if (!firstUses.has(use.keyId)) firstUses.set(use.keyId, use.endedAt!);
    }
    return { asked, uses, refusals, batches };
  }

  /** Of keys that were touched, a few things that were made with them before. */
  function someOlder(touched: ReadonlySet<string>): Use[] {
    return [...touched].flatMap((keyId) => {
      const uses = usesByKey.get(keyId) ?? [];
      return Array.from({ length: Math.min(olderUses, uses.length) }, () => random.pick(uses)!);
    });
  }

  function keep(uses: readonly Use[]): void {
    for (const use of uses) {
      const known = usesByKey.get(use.keyId);
      if (known) known.push(use);
      else usesByKey.set(use.keyId, [use]);
    }
  }

  return {
    driver,
    checker,
    async check(client, { days, everything }) {
      await awaitDestruction(client, days, checker);
      const { asked, uses, refusals, batches } = take();
      let rows = await trail.read(client);
      model.play(rows);
      const unanswered = asked.filter(({ outcome }) => outcome === "unknown");
      const { retry, resend } = driver;
      // A request id is forgotten after a day.
      const unsigned = days > daysBefore ? [] : batches.filter(({ answer }) => answer === undefined);
      daysBefore = days;
      for (const operation of unanswered) {
        if (operation.change === "rotate") await retryRotate(client, operation, { ...checker, retry });
      }
      await inParallel(unsigned, (batch) => resendBatch(client, batch, { ...checker, resend }));
      if (unanswered.length + unsigned.length > 0) {
        const more = await trail.read(client);
        model.play(more);
        rows = [...rows, ...more];
      }
      await checkAudit(client, checker);
      for (const operation of asked) checkOperation(operation, checker);
      for (const use of uses) checkUse(use, checker);
      for (const refusal of refusals) checkRefusal(refusal, checker);

      const tenants = new Set([...asked, ...uses, ...refusals, ...rows].map(({ tenantId }) => tenantId));
      const all = everything ? [...model.keys.values()].map(({ tenantId }) => tenantId) : [];
      await checkTenants(client, new Set([...tenants, ...all]), checker);
      const older = everything
        ? [...usesByKey.values()].flat()
        : someOlder(new Set([...asked, ...uses, ...rows].map(({ keyId }) => keyId)));
      await checkUses(client, [...uses, ...older], checker);
      await checkLogs(client, { known: logs, batches, everything }, checker);
      keep(uses);
      totals.opened += uses.length + older.length;
      totals.acknowledged.change += asked.filter(({ outcome }) => outcome === "acknowledged").length;
      totals.unknownChanges += unanswered.length;
      totals.unknownBatches += unsigned.length;
      for (const { answer } of batches) totals.acknowledged.entry += answer?.signed.length ?? 0;
    },
  };
}
