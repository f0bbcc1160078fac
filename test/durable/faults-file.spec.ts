/** The SQLite file of a running service is taken away, replaced, damaged or held by another. No key is made anew for it. */
import { randomInt } from "node:crypto";
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { thrownBy } from "../support/matchers.ts";
import { type GrpcClient, startService } from "../support/running-service.ts";
import { firstOfEach, whole } from "../support/short.ts";
import { treeOf } from "../support/sqlite-tree.ts";
import { startRecorded } from "./faults-ledger.ts";
import { newStoreDir, type StoreDir, unavailable } from "./faults-service.ts";

const fields = [{ name: "email", value: Buffer.from("ann@example.com") }];

describe("the SQLite file of a service", () => {
  whole.concurrent("that another process holds is waited for, but not for long", async ({ onTestFinished }) => {
    const { file, env } = newStoreDir(onTestFinished);
    const service = await startRecorded(env, { finished: onTestFinished });
    const { client, ledger, use } = service;
    await use("acme");
    const { keyId } = await client.generateDataKey({ tenantId: "off" });
    await delay(1_000);
    await client.generateDataKey({ tenantId: "acme" });

    const other = new DatabaseSync(file);
    onTestFinished(() => other.close());
    other.exec("begin immediate");
    const released = delay(7_000).then(() => other.exec("rollback"));
    const changes = [
      unavailable(client.encryptPii({ tenantId: "new", fields }), 6_000),
      unavailable(client.admin.disableKey({ tenantId: "off", keyId }), 4_000),
    ];
    for (const call of [...changes, released]) call.catch(() => {}); // looked at below
    await service.until("DOWN", 4_500);
    await unavailable(client.generateDataKey({ tenantId: "acme" }), 1_000);
    await Promise.all(changes);
    expect(await service.notices()).toContain("another process holds the file");
    await released;
    await service.until("UP", 4_000);
    await ledger.disable(client, "off", keyId);
    await use("acme", "new");
    await service.check();
  });

  it.concurrent.for(firstOfEach(["removed", "replaced"] as const))(
    "that is %s stops it, until it is put back",
    async (what, { onTestFinished }) => {
      const { file, env } = newStoreDir(onTestFinished);
      const service = await startRecorded(env, { finished: onTestFinished });
      const { client, use } = service;
      await use("acme");
      const { keyId } = await client.generateDataKey({ tenantId: "acme" });
      if (what === "replaced") copyFileSync(file, `${file}.other`);

      renameSync(file, `${file}.kept`);
      if (what === "replaced") renameSync(`${file}.other`, file);
      await unavailable(client.encryptPii({ tenantId: "new", fields }), 2_000);
      await unavailable(client.admin.disableKey({ tenantId: "acme", keyId }), 2_000);
      await service.until("DOWN", 4_000);
      expect(await service.notices()).toContain("the SQLite file was removed or replaced while it was in use");
      await delay(1_000);
      expect(existsSync(file)).toBe(what === "replaced");

      renameSync(`${file}.kept`, file);
      await service.until("UP", 4_000);
      await use("acme", "new");
      await service.endsWhole();
    },
  );

  it.concurrent("loses nothing with its log", async ({ onTestFinished }) => {
    const { file, env } = newStoreDir(onTestFinished);
    const service = await startRecorded(env, { finished: onTestFinished });
    for (const end of ["-wal", "-shm"]) {
      await service.use(`before${end}`);
      rmSync(file + end);
      await service.use(`after${end}`);
    }
    await service.endsWhole();
  });

  it.concurrent("whose damage hides rows is damaged, and neither put back nor under another provider's key", async ({
    onTestFinished,
  }) => {
    const store = newStoreDir(onTestFinished);
    await filled(store);
    hideEntries(store.file, "sqlite_autoindex_kms_audit_1");
    const started = () => startService(properties(store)).then((service) => service.stop());
    expect(await thrownBy(started)).toBeKmsError("DATA_LOSS", "is damaged (");
    const db = new DatabaseSync(store.file);
    db.exec("update kms_store set provider_key_id = 'local:0123456789abcdef'");
    db.close();
    expect(await thrownBy(started)).toBeKmsError("DATA_LOSS", "is damaged (");
  });

  whole.concurrent("that is damaged makes no new key and no bug of ours", async ({ onTestFinished }) => {
    const store = newStoreDir(onTestFinished);
    const known = await filled(store);
    const seen = { refusals: 0, losses: 0 };
    for (let round = 0; round < 16; round++) {
      const damaged = { ...store, file: `${store.file}.${round}` };
      for (const end of ["", "-heads", "-heads.1"]) copyFileSync(store.file + end, damaged.file + end);
      const isBefore = round % 2 === 0;
      if (isBefore) damage(damaged.file);
      const service = await startService(properties(damaged)).catch((error) => {
        expect(["DATA_LOSS", "STORE_UNAVAILABLE"], String(error)).toContain(error.code);
        seen.refusals += 1;
      });
      if (!service) continue;
      if (!isBefore) damage(damaged.file);
      for (const [tenantId, keyIds] of known) seen.losses += await useAll(service.grpc, tenantId, keyIds);
      const { status: ready } = await fetch(`${service.url}/q/health/ready`);
      expect([200, 503]).toContain(ready);
      await service.stop();
    }
    expect(seen.refusals + seen.losses).toBeGreaterThan(0);
  });
});

function properties({ file, env }: StoreDir): Record<string, string> {
  return {
    "fluo.kms.store": "sqlite",
    "fluo.kms.sqlite.file": file,
    "fluo.kms.local.master-key-file": env.FLUO_KMS_LOCAL_MASTER_KEY_FILE!,
  };
}

/** Tenants with keys, and the ids of these. */
async function filled(store: StoreDir): Promise<Map<string, string[]>> {
  const service = await startService(properties(store));
  const known = new Map<string, string[]>();
  for (let n = 0; n < 30; n++) {
    const tenantId = `tenant-${n}`;
    const { keyId } = await service.grpc.encryptPii({ tenantId, fields });
    const signed = await service.grpc.signSpan({ tenantId, span: plainSpan });
    known.set(tenantId, [keyId, signed.keyId]);
  }
  await service.stop();
  return known;
}

/** Has the last leaf of an index say that it holds one entry. */
function hideEntries(file: string, index: string): void {
  const { bytes: pages, pageBytes, rootAt } = treeOf(file, index);
  let at = rootAt;
  while (pages[at] === interior) at = (pages.readUInt32BE(at + 8) - 1) * pageBytes;
  expect(pages.readUInt16BE(at + 3)).toBeGreaterThan(1);
  pages.writeUInt16BE(1, at + 3);
  writeFileSync(file, pages);
}

/** Type of a page of an index that leads to others. */
const interior = 2;

/** Overwrites a few places with anything. */
function damage(file: string): void {
  const descriptor = openSync(file, "r+");
  const { size } = statSync(file);
  for (let places = randomInt(1, 12); places > 0; places--) {
    const bytes = Buffer.alloc(randomInt(1, 3_000), randomInt(256));
    if (places % 2 === 0) crypto.getRandomValues(bytes);
    writeSync(descriptor, bytes, 0, bytes.length, randomInt(100, size - bytes.length));
  }
  closeSync(descriptor);
}

const refusals: readonly number[] = [
  status.DATA_LOSS,
  status.UNAVAILABLE,
  status.ABORTED,
  status.FAILED_PRECONDITION, // of a tenant whose ACTIVE key cannot be found, and others can
];

/** How often data was said to be lost. Fails where a key is made anew, or anything is said to be a bug. */
async function useAll(client: GrpcClient, tenantId: string, known: readonly string[]): Promise<number> {
  const calls = [
    () => client.encryptPii({ tenantId, fields }).then(({ keyId }) => expect(known).toContain(keyId)),
    () => client.signSpan({ tenantId, span: plainSpan }).then(({ keyId }) => expect(known).toContain(keyId)),
    () => client.admin.listKeys({ tenantId }),
    () => client.getPublicKeys({ tenantId }),
    () => client.rotate({ tenantId, purpose: KeyPurpose.DATA, dryRun: true, force: true }),
    () => client.admin.listAuditEvents({ tenantId }),
    () => client.admin.verifyAudit({}),
    () => client.status({}),
  ];
  let losses = 0;
  for (const call of calls) {
    await call().catch((error) => {
      if (error.code === undefined) throw error;
      expect(refusals, `${error.message}`).toContain(error.code);
      if (error.code === status.DATA_LOSS) losses += 1;
    });
  }
  return losses;
}
