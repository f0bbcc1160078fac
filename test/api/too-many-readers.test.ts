/** Each reading call, one more of it than may run at once: refused over gRPC with the time to come again, and the others are answered. */
import { status } from "@grpc/grpc-js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { openLocal } from "../../src/provider/local/open.ts";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { atOnce } from "../../src/service/at-once.ts";
import { openStore } from "../../src/store/registry.ts";
import { filledLog } from "../support/filled-log.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import {
  type ConnectClient,
  failureOf,
  type GrpcClient,
  type RunningService,
  startService,
} from "../support/running-service.ts";
import { realTime } from "../../src/runtime/time.ts";

const tenantId = "acme";
const logSize = 300;
/** Number of calls of a burst that are refused. */
const excess = 3;
const lockNotAvailable = "55P03";
const whatIsRead = "kms_store, kms_keys, kms_audit, kms_audit_writers, kms_logs, kms_log_entries, kms_log_hashes";

type Call = (client: GrpcClient | ConnectClient) => Promise<unknown>;

const rpcs: Record<Exclude<keyof typeof atOnce, "publicKeySet" | "getTile">, Call> = {
  verifyAudit: ({ admin }) => admin.verifyAudit({}),
  listAuditEvents: ({ admin }) => admin.listAuditEvents({}),
  listKeys: ({ admin }) => admin.listKeys({}),
  status: (client) => client.status({}),
  getPublicKeys: (client) => client.getPublicKeys({ tenantId }),
  getCheckpoint: ({ logs }) => logs.getCheckpoint({ tenantId }),
  getInclusionProof: ({ logs }) => logs.getInclusionProof({ tenantId, leafIndex: 7n }),
  getConsistencyProof: ({ logs }) => logs.getConsistencyProof({ tenantId, fromSize: 7n }),
};

const paths: Record<Exclude<keyof typeof atOnce, keyof typeof rpcs>, string> = {
  publicKeySet: `/api/kms/tenants/${tenantId}/jwks.json`,
  getTile: `/api/kms/tenants/${tenantId}/log/tile/0/000`,
};

const server = await sharedPostgres();
let service: RunningService;
let other: pg.Client;
const own = mkdtempSync(join(tmpdir(), "fluo-kms-readers-"));

beforeAll(async () => {
  const url = await server.createDatabase();
  const masterKeyFile = join(own, "master.key");
  const provider = await openLocal({ name: "local", masterKeyFile });
  const settings = { name: "postgres", url, maxConnections: 2 } as const;
  const store = await unlockStore(await openStore(settings, realTime), providerKeys({ current: provider }), realTime);
  await filledLog(store, logSize, { tenantId });
  await store.close();
  service = await startService({
    "fluo.kms.store": "postgres",
    "fluo.kms.postgres.url": url,
    "fluo.kms.local.master-key-file": masterKeyFile,
  });
  await service.grpc.signSpan({
    tenantId,
    span: { name: "s", traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 1) },
  });
  other = new pg.Client({ connectionString: url });
  await other.connect();
});

afterAll(async () => {
  await other.end();
  await service.stop();
  await server.close();
  rmSync(own, { recursive: true });
});

/** Holds every table that is read. It waits with none of them locked: the service's own transactions lock them in another order. */
async function lockAll(): Promise<void> {
  await other.query("begin");
  try {
    await other.query(`lock table ${whatIsRead} in access exclusive mode nowait`);
  } catch (error) {
    await other.query("rollback");
    if ((error as pg.DatabaseError).code !== lockNotAvailable) throw error;
    await delay(5);
    await lockAll();
  }
}

/** The errors of the refused calls of a burst. None is answered before `excess` are refused, and the others must be answered. */
async function refusedOf(limit: number, call: () => Promise<unknown>): Promise<unknown[]> {
  await lockAll();
  const refused: unknown[] = [];
  const enough = Promise.withResolvers<void>();
  const burst = Array.from({ length: limit + excess }, () =>
    call().catch((error) => {
      refused.push(error);
      if (refused.length === excess) enough.resolve();
    }),
  );
  const answered = Promise.all(burst).then(() => enough.resolve());
  await enough.promise;
  await other.query("rollback");
  await answered;
  await call();
  return refused;
}

describe.each(Object.entries(rpcs))("too many of %s", (name, call) => {
  const limit = atOnce[name as keyof typeof rpcs];

  it("are refused over gRPC, and told when to come again", async () => {
    const refused = await refusedOf(limit, () => call(service.grpc));
    expect(refused).toHaveLength(excess);
    for (const error of refused) {
      expect(await failureOf(Promise.reject(error))).toEqual({
        code: status.RESOURCE_EXHAUSTED,
        message: `no more than ${limit} of these calls run at once: try again later`,
        fields: [],
        reason: "OVERLOADED",
        retry: true,
      });
    }
  });
});

it.each(Object.entries(paths))("too many of %s are refused, and told when to come again", async (name, path) => {
  const limit = atOnce[name as keyof typeof paths];
  const refused = await refusedOf(limit, async () => {
    const answer = await fetch(service.url + path);
    const body = await answer.text();
    if (!answer.ok) throw Object.assign(new Error(body), { status: answer.status, headers: answer.headers });
  });
  expect(refused).toHaveLength(excess);
  for (const each of refused as (Error & { headers: Headers })[]) {
    expect(each).toMatchObject({ status: 429, message: expect.stringContaining('"code":"OVERLOADED"') });
    expect(each.headers.get("retry-after")).toBe("1");
  }
});
