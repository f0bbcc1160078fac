/** From one master key file to another with real processes, as docs/REWRAP.md has it: under load, with replicas, and through a crash. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { plainSpan } from "./support/api-fixture.ts";
import { whenAudited } from "./support/audited-call.ts";
import { run } from "./support/cli-fixture.ts";
import { startProcess } from "./support/service-process.ts";
import { postgresAvailable } from "./support/postgres-cluster.ts";
import { sharedPostgres } from "./support/shared-postgres.ts";
import type { GrpcClient } from "./support/running-service.ts";

type Env = Record<string, string>;

const value = Buffer.from("ann@example.com");
const tenants = Array.from({ length: 60 }, (_, n) => `tenant-${n}`);

/** The settings of each step, over one store. */
function steps(store: (dir: string) => Env) {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-rewrap-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const [a, b] = [join(dir, "a.key"), join(dir, "b.key")] as const;
  const env = (current: string, other?: string): Env => ({
    ...store(dir),
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: current,
    ...(other && { FLUO_KMS_OTHER_PROVIDER: "local", FLUO_KMS_OTHER_LOCAL_MASTER_KEY_FILE: other }),
  });
  return { dir, onlyA: env(a), aThenB: env(a, b), bThenA: env(b, a), onlyB: env(b) };
}

const sqlite = (dir: string): Env => ({ FLUO_KMS_SQLITE_FILE: join(dir, "kms.db") });

interface Made {
  tenantId: string;
  fields: { name: string; token: string }[];
  attributes: { key: string }[];
}

async function make(client: GrpcClient, tenantId: string): Promise<Made> {
  const { fields } = await whenAudited(() => client.encryptPii({ tenantId, fields: [{ name: "email", value }] }));
  const { attributes } = await whenAudited(() => client.signSpan({ tenantId, span: plainSpan }));
  return { tenantId, fields, attributes };
}

/** Four at once: first calls make keys, and no more of them wait for a connection to the store than a slow machine serves in time. */
async function makeAll(client: GrpcClient, tenantIds: readonly string[]): Promise<Made[]> {
  const made: Made[] = [];
  const waiting = tenantIds.values();
  const work = async () => {
    for (const tenantId of waiting) made.push(await make(client, tenantId));
  };
  await Promise.all(Array.from({ length: 4 }, work));
  return made;
}

async function open(client: GrpcClient, { tenantId, fields, attributes }: Made): Promise<void> {
  const [field] = (await whenAudited(() => client.decryptPii({ tenantId, fields }))).fields;
  expect(field!.result).toEqual({ case: "value", value });
  expect(await client.verifySpan({ tenantId, span: { ...plainSpan, attributes } })).toMatchObject({ verified: true });
}

/** Calls of every kind, on tenants old and new, until it is stopped: none may fail. Gives what they made. */
function load(clients: readonly GrpcClient[], known: readonly Made[]) {
  let isOver = false;
  let calls = 0;
  const made: Made[] = [];
  async function work(client: GrpcClient, worker: number): Promise<void> {
    for (let n = 0; !isOver; n++) {
      const old = known[(7 * n + worker) % known.length]!;
      await open(client, old);
      made.push(await make(client, n % 5 === 0 ? `new-${worker}-${n}` : old.tenantId));
      if (n % 4 === 0) await whenAudited(() => client.rotate({ tenantId: old.tenantId, force: true }));
      calls += 4;
    }
  }
  const working = Promise.all(clients.flatMap((client, i) => [work(client, 2 * i), work(client, 2 * i + 1)]));
  return {
    calls: () => calls,
    async stop() {
      isOver = true;
      await working;
      return made;
    },
  };
}

async function rewrapJson(address: string) {
  const { code, out } = await run(["rewrap", "--address", address, "--json"]);
  return { code, answer: JSON.parse(out) };
}

async function checked(env: Env, dir: string) {
  const { code, out } = await run(["check", "--json"], { env, cwd: dir });
  return { code, answer: JSON.parse(out) };
}

const stores: [name: string, replicas: number, store: () => Promise<(dir: string) => Env>][] = [
  ["SQLite", 1, async () => sqlite],
];

let closePostgres = async () => {};
if (postgresAvailable() || process.env.CI !== undefined) {
  const server = await sharedPostgres();
  closePostgres = () => server.close();
  stores.push([
    "PostgreSQL",
    2,
    async () => {
      const url = await server.createDatabase();
      return () => ({ FLUO_KMS_STORE: "postgres", FLUO_KMS_POSTGRES_URL: url });
    },
  ]);
}
afterAll(() => closePostgres());

describe.each(stores)("with %s and %d replicas, a service", (_name, replicas, store) => {
  const startAll = (env: Env) => Promise.all(Array.from({ length: replicas }, () => startProcess(env)));

  it("moves to another key file under load without a failed call, and then needs the old one no more", async () => {
    const { dir, onlyA, aThenB, bThenA, onlyB } = steps(await store());
    const first = await startAll(onlyA);
    const made = await makeAll(first[0]!.client, tenants);
    await Promise.all(first.map(({ end }) => end()));

    const second = await startAll(aThenB);
    await open(second[0]!.client, made[0]!);
    expect((await rewrapJson(second[0]!.http)).answer).toMatchObject({ rewrapped: 0, remaining: 0 });
    await Promise.all(second.map(({ end }) => end()));

    const third = await startAll(bThenA);
    const calling = load(
      third.map(({ client }) => client),
      made,
    );
    const results = await Promise.all(third.map(({ http }) => rewrapJson(http)));
    for (const { code, answer } of results) expect([code, answer.remaining, answer.failed]).toEqual([0, 0, []]);
    const enough = calling.calls() + 100; // with keys as they are now
    await expect.poll(calling.calls).toBeGreaterThan(enough);
    made.push(...(await calling.stop()));
    const moved = results.map(({ answer }) => answer.rewrapped).reduce((sum, keys) => sum + keys, 0);
    expect(moved).toBeGreaterThanOrEqual(2 * tenants.length);
    const { keys } = await third[0]!.client.admin.listKeys({ pageSize: 1000 });
    expect(new Set(keys.map(({ providerKeyId }) => providerKeyId)).size).toBe(1);
    await Promise.all(third.map(({ end }) => end()));

    const fourth = await startAll(onlyB);
    for (const each of made) await open(fourth[0]!.client, each);
    const [checking, audit] = await Promise.all([
      checked(onlyB, dir),
      run(["audit", "verify", "--address", fourth[0]!.http, "--json"]),
    ]);
    expect(checking).toMatchObject({ code: 0, answer: { ok: true, problems: [] } });
    expect(checking.answer.provider_keys).toEqual([
      { provider: "local", provider_key_id: keys[0]!.providerKeyId, keys: checking.answer.opened, store_key: true },
    ]);
    expect([audit.code, JSON.parse(audit.out).ok]).toEqual([0, true]);
    await Promise.all(fourth.map(({ end }) => end()));
    await expect(startProcess(onlyA)).rejects.toThrow("the store is under local");
  });
});

describe("a service that is killed in the middle of it", () => {
  const killAt = pathToFileURL(join(import.meta.dirname, "crash", "kill-at.ts")).href;

  it.each(["store-key.proven:1", "store-key.replaced:1", "rewrap.proven:20", "rewrap.stored:20"])(
    "at %s goes on where it was",
    async (at) => {
      const { dir, onlyA, bThenA, onlyB } = steps(sqlite);
      const before = await startProcess(onlyA);
      const made = await makeAll(before.client, tenants.slice(0, 20));
      const oldKeyId = (await before.client.admin.listKeys({})).keys[0]!.providerKeyId;
      expect(await before.end()).toBe(0);

      const dying = await startProcess({ ...bThenA, NODE_OPTIONS: `--import=${killAt}`, FLUO_CRASH_AT: at });
      const { code, err } = await run(["rewrap", "--address", dying.http]);
      expect([code, err]).toEqual([1, expect.stringContaining("no answer from")]);
      expect((await dying.ended).err).toContain(`killed at ${at.split(":")[0]}`);

      const after = await startProcess(bThenA);
      for (const each of made) await open(after.client, each);
      const halfway = await checked(bThenA, dir);
      expect(halfway).toMatchObject({ code: 0, answer: { ok: true, opened: 40 } });
      const left = halfway.answer.provider_keys.find(
        (each: { provider_key_id: string }) => each.provider_key_id === oldKeyId,
      ).keys;
      if (at.startsWith("rewrap")) expect(left).toBeLessThan(40);
      else expect(left).toBe(40);
      const result = await rewrapJson(after.http);
      expect(result).toMatchObject({ code: 0, answer: { remaining: 0, failed: [] } });
      expect(result.answer.store_key_rewrapped).toBe(at === "store-key.proven:1");
      expect(result.answer.rewrapped).toBe(left);
      expect(await after.end()).toBe(0);

      const last = await startProcess(onlyB);
      for (const each of made) await open(last.client, each);
      expect((await checked(onlyB, dir)).code).toBe(0);
      expect(await last.end()).toBe(0);
    },
  );
});
