/** From one master key file to another with real processes, as docs/REWRAP.md has it: under load, with replicas, and through a crash. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { plainSpan } from "./support/api-fixture.ts";
import { whenAudited } from "./support/audited-call.ts";
import { run } from "./support/cli-fixture.ts";
import { startProcess } from "./support/service-process.ts";
import { postgresAvailable } from "./support/postgres-cluster.ts";
import { sharedPostgres } from "./support/shared-postgres.ts";
import { type GrpcClient, type RunningService, startService } from "./support/running-service.ts";

type Env = Record<string, string>;

const value = Buffer.from("ann@example.com");
const tenants = Array.from({ length: 30 }, (_, n) => `tenant-${n}`);

function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-rewrap-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** The settings of each step, over one store. */
function steps(dir: string, store: (dir: string) => Env) {
  const [a, b] = [join(dir, "a.key"), join(dir, "b.key")] as const;
  const env = (current: string, other?: string): Env => ({
    ...store(dir),
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: current,
    ...(other && { FLUO_KMS_OTHER_PROVIDER: "local", FLUO_KMS_OTHER_LOCAL_MASTER_KEY_FILE: other }),
  });
  return { onlyA: env(a), aThenB: env(a, b), bThenA: env(b, a), onlyB: env(b) };
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
  /** One in this process, where nothing is asked of replicas. */
  const using = async (env: Env, work: (service: RunningService) => Promise<void>) => {
    const service = await startService(env);
    await work(service).finally(service.stop);
  };

  it("moves to another key file under load without a failed call, and then needs the old one no more", async () => {
    const dir = temporaryFolder();
    const { onlyA, aThenB, bThenA, onlyB } = steps(dir, await store());
    let made: Made[] = [];
    await using(onlyA, async ({ grpc }) => {
      made = await makeAll(grpc, tenants);
    });
    await using(aThenB, async ({ grpc, url }) => {
      await open(grpc, made[0]!);
      expect((await rewrapJson(url)).answer).toMatchObject({ rewrapped: 0, remaining: 0 });
    });

    const third = await startAll(bThenA);
    const calling = load(
      third.map(({ client }) => client),
      made,
    );
    const results = await Promise.all(third.map(({ http }) => rewrapJson(http)));
    for (const { code, answer } of results) expect([code, answer.remaining, answer.failed]).toEqual([0, 0, []]);
    const enough = calling.calls() + 40; // with keys as they are now
    await expect.poll(calling.calls).toBeGreaterThan(enough);
    made.push(...(await calling.stop()));
    const moved = results.map(({ answer }) => answer.rewrapped).reduce((sum, keys) => sum + keys, 0);
    expect(moved).toBeGreaterThanOrEqual(2 * tenants.length);
    const { keys } = await third[0]!.client.admin.listKeys({ pageSize: 1000 });
    expect(new Set(keys.map(({ providerKeyId }) => providerKeyId)).size).toBe(1);
    await Promise.all(third.map(({ end }) => end()));

    await using(onlyB, async ({ grpc, url }) => {
      for (const each of made) await open(grpc, each);
      const [checking, audit] = await Promise.all([
        checked(onlyB, dir),
        run(["audit", "verify", "--address", url, "--json"]),
      ]);
      expect(checking).toMatchObject({ code: 0, answer: { ok: true, problems: [] } });
      expect(checking.answer.provider_keys).toEqual([
        { provider: "local", provider_key_id: keys[0]!.providerKeyId, keys: checking.answer.opened, store_key: true },
      ]);
      expect([audit.code, JSON.parse(audit.out).ok]).toEqual([0, true]);
    });
    await expect(startService(onlyA)).rejects.toThrow("the store is under local");
  });
});

describe("a service that is killed in the middle of it", () => {
  const killAt = pathToFileURL(join(import.meta.dirname, "crash", "kill-at.ts")).href;
  const keys = 40;
  let origin: string;
  let made: Made[];
  let oldKeyId: string;
  beforeAll(async () => {
    origin = mkdtempSync(join(tmpdir(), "fluo-kms-rewrap-"));
    const before = await startService(steps(origin, sqlite).onlyA);
    made = await makeAll(before.grpc, tenants.slice(0, keys / 2));
    oldKeyId = (await before.grpc.admin.listKeys({})).keys[0]!.providerKeyId;
    await before.stop();
  });
  afterAll(() => rmSync(origin, { recursive: true, force: true }));

  it.each(["store-key.proven:1", "store-key.replaced:1", "rewrap.proven:20", "rewrap.stored:20"])(
    "at %s goes on where it was",
    async (at) => {
      const dir = temporaryFolder();
      cpSync(origin, dir, { recursive: true });
      const { bThenA, onlyB } = steps(dir, sqlite);
      const dying = await startProcess({ ...bThenA, NODE_OPTIONS: `--import=${killAt}`, FLUO_CRASH_AT: at });
      const { code, err } = await run(["rewrap", "--address", dying.http]);
      expect([code, err]).toEqual([1, expect.stringContaining("no answer from")]);
      expect((await dying.ended).err).toContain(`killed at ${at.split(":")[0]}`);

      const after = await startService(bThenA);
      onTestFinished(() => after.stop());
      for (const each of made) await open(after.grpc, each);
      const halfway = await checked(bThenA, dir);
      expect(halfway).toMatchObject({ code: 0, answer: { ok: true, opened: keys } });
      const left = halfway.answer.provider_keys.find(
        (each: { provider_key_id: string }) => each.provider_key_id === oldKeyId,
      ).keys;
      if (at.startsWith("rewrap")) expect(left).toBeLessThan(keys);
      else expect(left).toBe(keys);
      const result = await rewrapJson(after.url);
      expect(result).toMatchObject({ code: 0, answer: { remaining: 0, failed: [] } });
      expect(result.answer.store_key_rewrapped).toBe(at === "store-key.proven:1");
      expect(result.answer.rewrapped).toBe(left);
      await after.stop();

      const last = await startService(onlyB);
      onTestFinished(() => last.stop());
      for (const each of made) await open(last.grpc, each);
      expect((await checked(onlyB, dir)).code).toBe(0);
    },
  );
});
