/**
 * The whole service with a thousand tenants on fifty provider keys of their own, half in an account of AWS and half in a Vault: each key
 * is under its own, what one provider key is refused harms no other, and the file of tenants is read anew while all go on.
 */
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { whenAudited } from "../support/audited-call.ts";
import { atExit, run } from "../support/cli-fixture.ts";
import { type AwsKmsFake, type FakeKey, startAwsKms } from "../fakes/aws-kms.ts";
import { type FakeVault, startFakeVault } from "../fakes/vault.ts";
import { newKey } from "../fakes/vault-rules.ts";
import { probeName } from "../../src/provider-keys/lie-probe.ts";
import { awsEnvironment } from "../outage/service.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { type ServiceProcess, startProcess } from "../support/service-process.ts";

const tenantCount = 1_000;
const keyCount = 50;
const checkSeconds = 1;
const value = Buffer.from("ann@example.com");

const tenants = Array.from({ length: tenantCount }, (_, n) => `tenant-${String(n).padStart(4, "0")}`);
/** Of tenant n is provider key n modulo 50: the first 25 are at AWS, the others in Vault. */
const keyOf = (tenantId: string) => Number(tenantId.slice(-4)) % keyCount;

let aws: AwsKmsFake;
let vault: FakeVault;
let own: FakeKey;
let awsKeys: FakeKey[];
let directory: string;
let service: ServiceProcess;
let kms: GrpcClient;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "fluo-kms-tenants-"));
  aws = await startAwsKms({ region: "eu-west-1" });
  own = aws.createKey();
  awsKeys = Array.from({ length: keyCount / 2 }, () => aws.createKey());
  vault = await startFakeVault();
  const names = Array.from({ length: keyCount / 2 + 1 }, (_, n) => `key-${keyCount / 2 + n}`);
  for (const name of names) vault.keys.set(`transit/keys/${name}`, newKey(vault));
  const token = vault.token({
    policy: new Map(
      names.flatMap((name) => [
        [`transit/encrypt/${name}`, ["update"]],
        [`transit/decrypt/${name}`, ["update"]],
        [`transit/keys/${name}`, ["read"]],
      ]),
    ),
  });
  writeFileSync(join(directory, "token"), token, { mode: 0o600 });
  writeTenants();
  service = await startProcess(
    {
      ...awsEnvironment,
      FLUO_KMS_SQLITE_FILE: join(directory, "kms.db"),
      FLUO_KMS_PROVIDER: "aws",
      AWS_KMS_MASTER_KEY_ID: own.arn,
      AWS_KMS_REGION: aws.region,
      AWS_KMS_ENDPOINT: aws.url,
      FLUO_KMS_TENANTS_FILE: "tenants.properties",
      KMS_CACHE_MAX_ENTRIES: "4000",
      KMS_PROVIDER_CHECK_INTERVAL: `${checkSeconds}s`,
      FLUO_KMS_LOG_LEVEL: "info",
    },
    { cwd: directory, finished: atExit },
  );
  kms = service.client;
});

afterAll(async () => {
  await service?.end();
  await Promise.all([aws?.close(), vault?.close()]);
  rmSync(directory, { recursive: true });
});

/** The file of tenants; `changes` names other keys than each tenant has. */
function writeTenants(changes: Readonly<Record<string, string>> = {}): void {
  const declared = Array.from({ length: keyCount / 2 + 1 }, (_, n) => `key-${keyCount / 2 + n}`).flatMap((name) => [
    `fluo.kms.provider-keys.${name}.provider=vault`,
    `fluo.kms.provider-keys.${name}.vault.addr=${vault.addr}`,
    `fluo.kms.provider-keys.${name}.vault.token-file=token`,
    `fluo.kms.provider-keys.${name}.vault.transit.key=${name}`,
  ]);
  const lines = tenants.map((tenantId) => {
    const key =
      changes[tenantId] ?? (keyOf(tenantId) < keyCount / 2 ? awsKeys[keyOf(tenantId)]!.arn : `key-${keyOf(tenantId)}`);
    return `fluo.kms.tenants.${tenantId}.provider-key=${key}`;
  });
  writeFileSync(join(directory, "tenants.properties"), [...declared, ...lines].join("\n"));
}

async function encrypt(tenantId: string): Promise<string> {
  const { keyId } = await kms.encryptPii({ tenantId, fields: [{ name: "email", value }] });
  return keyId;
}

/** What becomes of a call of each, at most 50 at once. */
async function outcomes(of: readonly string[]): Promise<Map<string, status>> {
  const found = new Map<string, status>();
  const waiting = of.values();
  const work = async () => {
    for (const tenantId of waiting) {
      const outcome = await encrypt(tenantId).then(
        () => status.OK,
        (error) => error.code as status,
      );
      found.set(tenantId, outcome);
    }
  };
  await Promise.all(Array.from({ length: 50 }, work));
  return found;
}

/** Each calls again when it has an answer, so that no more than they wait, however slow the machine is. `stop` gives what failed. */
function callers(count: number) {
  const failures: unknown[] = [];
  let isOver = false;
  let calls = 0;
  async function work(): Promise<void> {
    while (!isOver) {
      const turn = calls++;
      const tenantId = tenants[(Math.floor(turn / 2) * 7) % tenantCount]!;
      const call = turn % 2 === 0 ? () => encrypt(tenantId) : () => kms.rotate({ tenantId, force: true });
      await whenAudited<unknown>(call).catch((error) => failures.push({ tenantId, turn, error }));
    }
  }
  const working = Promise.all(Array.from({ length: count }, work));
  return {
    calls: () => calls,
    async stop() {
      isOver = true;
      await working;
      return failures;
    },
  };
}

/** By provider key, the tenants whose keys it wrapped or opened. */
function seenAtProviders(): Map<number, Set<string>> {
  const seen = new Map<number, Set<string>>();
  const note = (key: number, tenantId: string | undefined) => {
    if (tenantId !== undefined && tenantId !== probeName) seen.set(key, (seen.get(key) ?? new Set()).add(tenantId));
  };
  for (const { keyId, context } of aws.log)
    note(
      awsKeys.findIndex(({ arn }) => arn === keyId),
      context?.tenant_id,
    );
  for (const { path, body } of vault.calls) {
    const name = /^transit\/(encrypt|decrypt)\/key-(\d+)$/.exec(path)?.[2];
    if (name !== undefined) note(Number(name), /tenant-\d{4}/.exec(contextIn(body))?.[0]);
  }
  return seen;
}

/** The canonical context in a request to Vault. */
function contextIn(body: unknown): string {
  return Buffer.from(String((body as Record<string, unknown>).associated_data ?? ""), "base64").toString();
}

/** In this order: what the service is told in one test holds in the next. */
describe("a service whose tenants have provider keys of their own", { shuffle: false }, () => {
  it("wraps each tenant's keys under its own provider key, and under no other", async () => {
    expect(new Set((await outcomes(tenants)).values())).toEqual(new Set([status.OK]));
    const seen = seenAtProviders();
    expect(seen.size).toBe(keyCount);
    for (const [key, of] of seen)
      expect([key, [...of].sort()]).toEqual([key, tenants.filter((tenant) => keyOf(tenant) === key)]);
  });

  it("has everyone else under the service's own", async () => {
    const before = aws.log.length;
    await encrypt("unmapped");
    expect(
      aws.log
        .slice(before)
        .filter(({ context }) => context?.tenant_id === "unmapped")
        .map(({ keyId }) => keyId),
    ).toEqual([own.arn, own.arn]);
  });

  it.each([
    [
      "at AWS",
      3,
      (isOff: boolean) => {
        awsKeys[3]!.state = isOff ? "Disabled" : "Enabled";
      },
    ],
    [
      "in Vault",
      30,
      (isOff: boolean) => {
        vault.key("transit/keys/key-30").softDeleted = isOff;
      },
    ],
  ])("stops the tenants of a key that is disabled %s, and no others", async (_where, key, turn) => {
    turn(true);
    const its = tenants.filter((tenantId) => keyOf(tenantId) === key);
    // Unwrapped keys would stay in the cache for an hour. That a minute is enough, ./watch.test.ts shows by a clock of its own.
    await expect
      .poll(async () => new Set((await outcomes(its)).values()), { interval: 100 })
      .toEqual(new Set([status.FAILED_PRECONDITION]));
    const all = await outcomes(tenants);
    expect(
      [...all]
        .filter(([, outcome]) => outcome !== status.OK)
        .map(([tenantId]) => tenantId)
        .sort(),
    ).toEqual(its);

    const seen = await kms.status({});
    expect(seen).toMatchObject({ tenantKeysTotal: keyCount + 1, tenantKeysUnusable: 1 });
    expect(seen.cost?.providerKeys).toBe(keyCount + 2);
    expect(seen.tenantKeys).toHaveLength(keyCount + 1);
    expect(seen.tenantKeys[0]).toMatchObject({ tenants: its.length });
    expect(seen.notices.join("\n")).toMatch(/The provider key \S+ of 20 tenants is refused/);
    expect((await fetch(`${service.http}/q/health/ready`)).status).toBe(200);
    const metrics = await (await fetch(`${service.http}/q/metrics`)).text();
    expect(metrics).toContain(`kms_provider_keys{condition="answering",scope="tenant"} ${keyCount}\n`);
    expect(metrics).toContain('kms_provider_keys{condition="denied",scope="tenant"} 1\n');
    // What a tenant does to its own key is no fault of the service.
    expect(metrics).toContain('kms_calls_total{rpc_method="EncryptPii",outcome="server_fault"} 0\n');

    turn(false);
    await expect
      .poll(async () => new Set((await outcomes(its)).values()), { interval: 100 })
      .toEqual(new Set([status.OK]));
  });

  it("reads the file anew under load without a failed call, has new keys where it says, and moves old ones", async () => {
    const moving = tenants.filter((tenantId) => keyOf(tenantId) === 4);
    const [first] = moving as [string];
    const old = await encrypt(first);
    const load = callers(8);
    const readAnew = (times: number) =>
      expect.poll(() => service.log.filter((line) => line.includes("were read anew")).length).toBe(times);
    for (let times = 1; times <= 10; times += 1) {
      await expect.poll(load.calls, { interval: 10 }).toBeGreaterThan(times * 20);
      writeTenants(times % 2 === 0 ? {} : Object.fromEntries(moving.map((tenantId) => [tenantId, "key-50"])));
      service.child.kill("SIGHUP");
      await readAnew(times);
    }
    expect(service.log.some((line) => line.includes("no provider key of their own any more"))).toBe(false);
    writeFileSync(join(directory, "tenants.properties"), "fluo.kms.tenants.acme.provider-key=nowhere");
    service.child.kill("SIGHUP");
    const [said] = await once(service.child.stderr!, "data");
    expect(String(said)).toContain("names no provider key");
    writeTenants(Object.fromEntries(moving.map((tenantId) => [tenantId, "key-50"])));
    service.child.kill("SIGHUP");
    await readAnew(11);
    expect(await load.stop()).toEqual([]);
    expect(load.calls()).toBeGreaterThan(200);

    const all = readFileSync(join(directory, "tenants.properties"), "utf8");
    writeFileSync(join(directory, "tenants.properties"), all.replace(/^.*tenant-0000.*\n/m, ""));
    service.child.kill("SIGHUP");
    const warning = JSON.parse(await service.said(/no provider key of their own any more/));
    expect(warning).toMatchObject({ tenants: 1, level: 40 });

    const wraps = () =>
      vault.calls.filter(({ path, body }) => path === "transit/encrypt/key-50" && !contextIn(body).includes(probeName));
    const before = wraps().length;
    await kms.rotate({ tenantId: first, force: true });
    expect(wraps()).toHaveLength(before + 1);
    const moved = await run(["rewrap", "--address", service.http, "--json"]);
    expect(JSON.parse(moved.out)).toMatchObject({ remaining: 0 });
    awsKeys[4]!.state = "Disabled";
    const token = await kms.encryptPii({ tenantId: first, fields: [{ name: "email", value }] });
    const opened = await kms.decryptPii({ tenantId: first, fields: token.fields });
    expect(opened.fields[0]?.result.case).toBe("value");
    expect((await kms.admin.listKeys({ tenantId: first })).keys.map(({ version }) => version?.keyId)).toContain(old);
  });
});
