/** Callers who read the trail in a loop, and another tenant's calls beside them: those all succeed, and of the readers one at a time is served. */
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { openLocal } from "../../src/provider/local/open.ts";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { openStore, type StoreSettings } from "../../src/store/registry.ts";
import { directory } from "../support/config-fixture.ts";
import { fillTrail } from "../support/filled-trail.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { failureOf, type RunningService, startService } from "../support/running-service.ts";
import { realTime } from "../../src/runtime/time.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const rows = 4_000;
const callers = 40;

/** A trail that a process wrote before. */
async function fill(settings: StoreSettings, masterKeyFile: string): Promise<void> {
  const provider = await openLocal({ name: "local", masterKeyFile });
  const store = await unlockStore(await openStore(settings, realTime), providerKeys({ current: provider }), realTime);
  await fillTrail(store, rows, "other");
  await store.close();
}

const stores: [name: string, make: () => Promise<[StoreSettings, Record<string, string>]>][] = [
  [
    "SQLite",
    async () => {
      const file = join(directory(), "kms.db");
      return [{ name: "sqlite", file }, { "fluo.kms.sqlite.file": file }];
    },
  ],
  [
    "PostgreSQL",
    async () => {
      const url = await server.createDatabase();
      const settings = { name: "postgres", url, maxConnections: 4 } as const;
      return [settings, { "fluo.kms.store": "postgres", "fluo.kms.postgres.url": url }];
    },
  ],
];

async function serve(make: (typeof stores)[0][1]): Promise<RunningService> {
  const [settings, properties] = await make();
  const keyFile = join(directory(), "master.key");
  await fill(settings, keyFile);
  const service = await startService({ ...properties, "fluo.kms.local.master-key-file": keyFile });
  onTestFinished(() => service.stop());
  return service;
}

describe.each(stores)("forty callers who verify the trail in a loop, on %s", (_name, make) => {
  it("are served one at a time, and keep nobody from using keys", async () => {
    const { grpc, connect } = await serve(make);
    await grpc.generateDataKey({ tenantId: "acme" });
    let isOver = false;
    const verified: bigint[] = [];
    const refused = { grpc: 0, connect: 0 };
    const verify = async (index: number) => {
      while (!isOver) {
        const asked = index % 2 === 0 ? grpc.admin.verifyAudit({}) : connect.admin.verifyAudit({});
        const answer = await asked.catch(async (error) => {
          if (error instanceof ConnectError) {
            expect(error).toMatchObject({ code: Code.ResourceExhausted });
            refused.connect += 1;
          } else {
            const failure = await failureOf(Promise.reject(error));
            expect(failure).toMatchObject({ code: status.RESOURCE_EXHAUSTED, reason: "OVERLOADED", retry: true });
            refused.grpc += 1;
          }
          return undefined;
        });
        if (answer === undefined) continue;
        expect(answer).toMatchObject({ ok: true, problems: [] });
        verified.push(answer.events);
      }
    };
    const reading = Array.from({ length: callers }, (_, index) => verify(index));
    const failed: unknown[] = [];
    let used = 0;
    while (verified.length < 2 || used < 40) {
      await grpc.generateDataKey({ tenantId: "acme" }).catch((error) => failed.push(error));
      used += 1;
    }
    isOver = true;
    await Promise.all(reading);
    expect(failed).toEqual([]);
    expect(refused.grpc).toBeGreaterThan(0);
    expect(refused.connect).toBeGreaterThan(0);
    for (const events of verified) expect(events).toBeGreaterThanOrEqual(BigInt(rows));
    expect((await grpc.status({})).audit?.problem).toBe("");
  });
});
