/** A store that is half under one provider key and half under another: what check, backup and restore say of it, and take. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { wholeKeyring } from "../support/whole-keyring.ts";
import { providerKeys, type TenantProviderKeys, wrappedBy } from "../../src/provider-keys/provider-keys.ts";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { openProvider } from "../../src/provider/registry.ts";
import { openStore } from "../../src/store/registry.ts";
import { startAwsKms } from "../fakes/aws-kms.ts";
import { awsEnvironment } from "../outage/service.ts";
import { startProcess } from "../support/service-process.ts";
import { type Result, run } from "../support/cli-fixture.ts";
import { liveIn, type Place, sqlitePlace } from "../support/cli-store-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

const movedKeys = 6;
/** Not DESTROYED, PENDING with them: see liveIn. */
const allKeys = 16;

/** Moves the store key and some keys, and gives the names of the provider keys. */
async function halfMoved(where: Place) {
  await liveIn(where);
  const newFile = join(where.directory, "new.key");
  const [other] = await openProvider({ name: "local", masterKeyFile: where.masterKeyFile }, realTime);
  const [current] = await openProvider({ name: "local", masterKeyFile: newFile }, realTime);
  const store = await unlockStore(
    await openStore(where.settings, realTime),
    providerKeys({ current: current, others: [other] }),
    realTime,
  );
  const keyring = wholeKeyring({ time: realTime, store, provider: current, otherProviders: [other] });
  const by = { actor: "ann", requestId: "" };
  expect(await keyring.rewrap({ by, limit: movedKeys, dryRun: false })).toMatchObject({ keys: movedKeys, failed: [] });
  keyring.close();
  await store.close();
  const ofNew = { ...where.env, FLUO_KMS_LOCAL_MASTER_KEY_FILE: newFile };
  const both = {
    ...ofNew,
    FLUO_KMS_OTHER_PROVIDER: "local",
    FLUO_KMS_OTHER_LOCAL_MASTER_KEY_FILE: where.masterKeyFile,
  };
  return { both, ofNew, current: current.keyId, other: other.keyId };
}

function byId(keys: { provider_key_id: string }[]) {
  return Object.fromEntries(keys.map(({ provider_key_id, ...rest }) => [provider_key_id, rest]));
}

it("is checked, backed up and restored with both, which are counted", async () => {
  const where = sqlitePlace();
  const { both, current, other } = await halfMoved(where);
  const command = (...args: string[]): Promise<Result> => run(args, { env: both, cwd: where.directory });
  const expected = (left: number) => ({
    [current]: { provider: "local", keys: movedKeys, store_key: true },
    [other]: { provider: "local", keys: left, store_key: false },
  });
  const checked = await command("check", "--json");
  expect(checked.code).toBe(0);
  expect(byId(JSON.parse(checked.out).provider_keys)).toEqual(expected(allKeys - movedKeys));
  const text = (await command("backup", "b.db")).out;
  expect(text).toContain(`local ${current}: ${movedKeys} keys and the store key\n`);
  expect(text).toContain(`local ${other}: ${allKeys - movedKeys - 1} keys\n`); // without the PENDING one
  const into = { ...both, FLUO_KMS_SQLITE_FILE: join(where.directory, "restored.db") };
  const restored = await run(["restore", "--json", "b.db"], { env: into, cwd: where.directory });
  expect(restored.code).toBe(0);
  expect(byId(JSON.parse(restored.out).provider_keys)).toEqual(expected(allKeys - movedKeys - 1));
  expect((await run(["check"], { env: into, cwd: where.directory })).code).toBe(0);
});

it("is not whole with one of them", async () => {
  const where = sqlitePlace();
  const { ofNew, other } = await halfMoved(where);
  const { code, out } = await run(["check", "--json"], { env: ofNew, cwd: where.directory });
  expect(code).toBe(1);
  const { opened, problems } = JSON.parse(out);
  expect(opened).toBe(movedKeys);
  expect(problems).toHaveLength(allKeys - movedKeys);
  expect(problems[0]).toMatchObject({ kind: "unwrap", what: expect.stringContaining(`is under local ${other}`) });
  const old = await where.run("check");
  expect(old.code).toBe(1);
  expect(old.err).toContain("the store is under local");
});

it("is not opened where the provider denies it, and what lets it is said", async () => {
  const kms = await startAwsKms({ region: "eu-west-1" });
  onTestFinished(() => kms.close());
  const env = {
    ...awsEnvironment,
    FLUO_KMS_PROVIDER: "aws",
    AWS_KMS_REGION: kms.region,
    AWS_KMS_ENDPOINT: kms.url,
    AWS_KMS_MASTER_KEY_ID: kms.createKey().id,
  };
  const cwd = mkdtempSync(join(tmpdir(), "fluo-kms-denied-"));
  const service = await startProcess(env, { cwd });
  service.child.kill("SIGTERM");
  await service.ended;
  kms.deny(({ operation }) => operation === "Decrypt");
  const { code, err } = await run(["check"], { env, cwd });
  expect(code).toBe(1);
  expect(err).toMatch(/cannot be opened: the provider denies access to its key; Add to the IAM policy .*"kms:Decrypt"/);
});

it("is checked with the provider keys that tenants have of their own, each for itself", async () => {
  const where = sqlitePlace();
  const ownFile = join(where.directory, "own.key");
  const [own] = await openProvider({ name: "local", masterKeyFile: ownFile }, realTime);
  const [shared] = await openProvider({ name: "local", masterKeyFile: where.masterKeyFile }, realTime);
  const store = await unlockStore(
    await openStore(where.settings, realTime),
    providerKeys({ current: shared }),
    realTime,
  );
  const tenantProviderKeys: TenantProviderKeys = {
    ofTenant: (tenantId) => (tenantId === "acme" ? own : undefined),
    openOf: (tenantId) => (tenantId === "acme" ? own : undefined),
    find: () => own,
    notOpen: () => [],
    tenants: () => new Map([["acme", wrappedBy(own)]]),
  };
  const keyring = wholeKeyring({ time: realTime, store, provider: shared, tenantProviderKeys });
  for (const tenantId of ["acme", "other"]) await keyring.activeDataKey(tenantId);
  keyring.close();
  await store.close();

  const properties = [
    "fluo.kms.provider-keys.bank.provider=local",
    "fluo.kms.provider-keys.bank.local.master-key-file=own.key",
    "fluo.kms.provider-keys.gone.provider=vault",
    "fluo.kms.provider-keys.gone.vault.addr=http://127.0.0.1:1",
    "fluo.kms.provider-keys.gone.vault.transit.key=k",
    "fluo.kms.provider-keys.gone.vault.token=t",
    "fluo.kms.tenants.acme.provider-key=bank",
  ];
  const check = async (lines: string[]) => {
    writeFileSync(join(where.directory, "application.properties"), lines.join("\n"));
    const { code, out, err } = await where.run("check", "--json");
    return { code, err, ...JSON.parse(out) };
  };
  expect(await check(properties)).toMatchObject({
    code: 0,
    opened: 2,
    problems: [],
    err: expect.stringContaining("provider key gone cannot be opened"),
  });
  expect(await check(properties.slice(2, -1))).toMatchObject({
    code: 1,
    opened: 1,
    problems: [{ kind: "unwrap", tenant_id: "acme", what: expect.stringContaining("a provider key that is not open") }],
    err: expect.stringContaining("provider key gone cannot be opened"),
  });
  expect(await check([])).toMatchObject({
    code: 1,
    opened: 1,
    problems: [{ kind: "unwrap", tenant_id: "acme", what: expect.stringContaining(`under local ${own.keyId}`) }],
  });
});
