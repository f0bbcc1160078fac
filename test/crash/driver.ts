/**
 * A random mix of real calls, several in flight, on tenants some of which are always new. It writes down what is acknowledged, and what
 * has no answer yet; what is refused must be right to be refused, which check.ts finds out.
 */
import { status } from "@grpc/grpc-js";
import { type Batches, batchesOf } from "./batches.ts";
import { type Changes, changesOf } from "./changes.ts";
import type { Ledger, Purpose, State, Use } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { CrashClient } from "./service.ts";
import { type Uses, usesOf } from "./uses.ts";

export interface DriverOptions {
  random: Random;
  ledger: Ledger;
  /** In the names of tenants and requests. */
  epoch: number;
  problem(what: string): void;
}

export interface Load {
  client: CrashClient;
  isOver(): boolean;
  /** Whether a failure comes from the kill. May wait to see. */
  isExcused(code: number): Promise<boolean>;
}

export interface Driver {
  /** Calls until it is over. */
  run(load: Load, workers?: number): Promise<void>;
  /** Makes so many keys, or more. */
  makeKeys(client: CrashClient, count: number): Promise<void>;
  /** Makes some calls, and schedules the destruction of some keys, so that there is something to destroy. */
  scheduleSome(client: CrashClient): Promise<void>;
  /** Whether keys were used, and changed, by calls that began after `at`. */
  hasRecoveredSince(at: number): boolean;
  /** As often as it is asked, under the same request id. */
  retry: Changes["retry"];
  resend: Batches["resend"];
}

/** What the callers believe of a tenant. */
export interface Tenant {
  id: string;
  keys: Map<string, { purpose: Purpose; guess: State }>;
  tokens: Extract<Use, { kind: "token" }>[];
}

/** What came of a call: an answer, the code of a refusal, or undefined where it is unknown, or a problem that was reported. */
export type Outcome<T> = { answer: T; refused?: never } | { answer?: never; refused: number } | undefined;

export type Attempt = <T>(load: Load, what: string, call: () => Promise<T>) => Promise<Outcome<T>>;

/** Each worker's next call. */
const mix = {
  encrypt: 24,
  sign: 16,
  generate: 12,
  reEncrypt: 8,
  append: 16,
  newTenant: 8,
  rotate: 10,
  change: 22,
  rewrap: 2,
} as const;

const tenantsAtOnce = 15;
const callsBefore = 60;
const scheduledAtLeast = 4;
const refusals: readonly number[] = [status.FAILED_PRECONDITION, status.ABORTED];

/** Calls of a service that nothing kills. */
function undisturbed(client: CrashClient): Load {
  return { client, isOver: () => false, isExcused: async () => false };
}

export function createDriver({ random, ledger, epoch, problem }: DriverOptions): Driver {
  const tenants: Tenant[] = [];
  let lastTenant = 0;

  const attempt: Attempt = async (load, what, call) => {
    try {
      return { answer: await call() };
    } catch (error) {
      const { code, details } = error as { code?: number; details?: string };
      if (code === undefined) throw error;
      if (refusals.includes(code)) return { refused: code };
      if (!(await load.isExcused(code))) problem(`${what} answered ${status[code]}: ${details}`);
      return undefined;
    }
  };
  const uses: Uses = usesOf({ random, ledger, attempt, problem });
  const changes: Changes = changesOf({ random, ledger, attempt, problem, epoch });
  const batches: Batches = batchesOf({ random, ledger, attempt, problem, epoch });

  /** First calls, at once where there are several; a tenant is one from its first acknowledged key on. */
  async function addTenant(load: Load): Promise<void> {
    lastTenant += 1;
    const tenant: Tenant = { id: `t${epoch}-${lastTenant}`, keys: new Map(), tokens: [] };
    const first = Array.from({ length: 1 + random.below(3) }, () => random.pick(uses.makers)!);
    await Promise.all(first.map((make) => make(load, tenant)));
    if (tenant.keys.size === 0) return;
    tenants.push(tenant);
    if (tenants.length > tenantsAtOnce) tenants.splice(random.below(5), 1);
  }

  async function callOnce(load: Load): Promise<void> {
    const next = random.weighted(mix);
    const tenant = random.pick(tenants);
    if (tenant === undefined || next === "newTenant") await addTenant(load);
    else if (next === "change") await changes.changeKey(load, tenant);
    else if (next === "rotate") await changes.rotate(load, tenant);
    else if (next === "rewrap") await changes.rewrap(load);
    else if (next === "append") await batches.append(load, tenant);
    else await uses[next](load, tenant);
  }

  return {
    retry: changes.retry,
    resend: batches.resend,

    hasRecoveredSince(at) {
      const isChanged = ledger.operations.some(({ begunAt, outcome }) => begunAt > at && outcome === "acknowledged");
      return isChanged && ledger.uses.some(({ begunAt }) => begunAt > at);
    },

    async run(load, workers = 8) {
      await Promise.all(
        Array.from({ length: workers }, async () => {
          while (!load.isOver()) await callOnce(load);
        }),
      );
    },

    async makeKeys(client, count) {
      for (let left = count; left > 0; left--) await addTenant(undisturbed(client));
    },

    async scheduleSome(client) {
      const load = undisturbed(client);
      for (let left = callsBefore; left > 0; left--) await callOnce(load);
      for (let left = scheduledAtLeast; left > 0; left--) {
        await addTenant(load);
        await changes.schedule(load, tenants.at(-1)!);
      }
    },
  };
}
