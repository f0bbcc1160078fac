/** The service on PostgreSQL while the server, the network or a right goes away: it refuses in time, and recovers by itself. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { tcpProxy } from "../faults/tcp-proxy.ts";
import { fromNow } from "../support/from-now.ts";
import { patience } from "./patience.ts";
import { postgresAvailable } from "../support/postgres-cluster.ts";
import { execute, type PostgresServer, startPostgres } from "../support/postgres-server.ts";
import { failureOf } from "../support/running-service.ts";
import { whole } from "../support/short.ts";
import { createLedger, mayRetry, startRecorded } from "./faults-ledger.ts";
import { startFaulty, unavailable } from "./faults-service.ts";

const fields = [{ name: "email", value: Buffer.from("ann@example.com") }];
/** A statement gets 15 s, and its answer one more. */
const longestMs = 18_000;
const poolSize = 8;

type Finished = (end: () => void) => void;

function envOf(url: string): Record<string, string> {
  return {
    FLUO_KMS_STORE: "postgres",
    FLUO_KMS_POSTGRES_URL: url,
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(mkdtempSync(join(tmpdir(), "fluo-kms-faults-key-")), "master.key"),
  };
}

async function proxied(url: string, finished: Finished) {
  const parsed = new URL(url);
  const proxy = await tcpProxy(Number(parsed.port));
  finished(proxy.close);
  parsed.port = String(proxy.port);
  return { proxy, url: parsed.href };
}

/** Whoever has some of a server's connections loses them, and gets none. */
async function takeAllConnections(url: string): Promise<pg.Client[]> {
  const taken: pg.Client[] = [];
  for (let refused = 0; refused < 3; ) {
    const client = new pg.Client({ connectionString: url });
    client.on("error", () => {});
    try {
      await client.connect();
      taken.push(client);
    } catch (error) {
      expect((error as pg.DatabaseError).code).toBe("53300");
      const { rowCount: ended } = await taken[0]!.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'fluo-kms/%'",
      );
      refused = ended === 0 ? refused + 1 : 0; // the service may be the first to take what became free
    }
  }
  return taken;
}

describe.skipIf(!process.env.CI && !postgresAvailable())("a service on PostgreSQL", () => {
  let stopped: PostgresServer;
  let server: PostgresServer;
  beforeAll(async () => {
    [stopped, server] = await Promise.all([startPostgres({ durable: true }), startPostgres({ durable: true })]);
  });
  afterAll(async () => {
    await Promise.all([stopped.close(), server.close()]);
  });

  whole.concurrent(
    "stands a server that is killed, one that is stopped, and one that has no connection left",
    async ({ expect, onTestFinished }) => {
      const env = envOf(await stopped.createDatabase());
      const service = await startRecorded(env, { finished: onTestFinished });
      const { client, ledger, use } = service;
      const { keyId } = await client.generateDataKey({ tenantId: "off" });
      for (const end of [stopped.kill, stopped.stop]) {
        await use("acme", "beta");
        await end();
        await Promise.all([
          unavailable(client.encryptPii({ tenantId: "new", fields }), 6_000),
          unavailable(client.admin.disableKey({ tenantId: "off", keyId }), 6_000),
        ]);
        await service.until("DOWN", 4_000);
        await expect.poll(service.notices).toContain("ECONNREFUSED"); // the look before met a server that was about to end
        await delay(1_000);
        await stopped.restart();
        await service.until("UP", 5_000);
      }

      const others = await takeAllConnections(stopped.url);
      await unavailable(client.encryptPii({ tenantId: "new", fields }), 6_000);
      await service.until("DOWN", 4_000);
      await expect.poll(service.notices).toContain("53300, the server has no connection left"); // the look before met what was ended
      await Promise.all(others.map((other) => other.end()));
      await service.until("UP", 5_000);

      await use("acme", "beta", "new");
      await ledger.rotate(client, "acme");
      await service.endsWhole();
    },
  );

  whole.concurrent("waits for a silent network no longer than it says", async ({ onTestFinished }) => {
    const { proxy, url } = await proxied(await server.createDatabase(), onTestFinished);
    const env = envOf(url);
    const service = await startRecorded(env, { finished: onTestFinished });
    const { client, ledger, use } = service;
    await use("acme", "beta");
    const { keyId } = await client.generateDataKey({ tenantId: "off" });
    await delay(1_000);
    const warm = Array.from({ length: 8 }, (_, n) => ledger.use(client, `warm-${n}`));
    await Promise.all([...warm, ledger.use(client, "acme")]); // to be audited in half a second; and every connection is open

    const request = { tenantId: "warm-0", purpose: KeyPurpose.DATA, force: true, requestId: "silenced" };
    const silent = proxy.at("insert into kms_requests", "silence");
    const rotated = ledger.rotate(client, request.tenantId, request.requestId).catch(({ code }) => code);
    await silent;
    const beganAt = performance.now();
    const hurried = failureOf(client.encryptPii({ tenantId: "hurried", fields }, { deadline: fromNow(2_000) }));
    const patient = Array.from({ length: 20 }, (_, n) =>
      failureOf(client.encryptPii({ tenantId: `new-${n}`, fields })),
    );
    patient.push(failureOf(client.admin.disableKey({ tenantId: "off", keyId })));
    await service.until("DOWN", 4_500);
    await unavailable(client.generateDataKey({ tenantId: "acme" }), 1_000);
    const askedAt = performance.now();
    await service.notices();
    expect(performance.now() - askedAt).toBeLessThan(patience(4_000));
    expect(await service.notices()).toContain("The store postgres does not answer");
    expect((await hurried).code).toBe(status.DEADLINE_EXCEEDED);

    proxy.pass();
    for (const call of patient) expect(await call).toMatchObject({ code: status.UNAVAILABLE, retry: true });
    expect(await rotated).toBe(status.UNAVAILABLE);
    expect(performance.now() - beganAt).toBeLessThan(patience(longestMs));
    expect(proxy.connections.most).toBeLessThanOrEqual(2 * (poolSize + 1));
    await service.until("UP", 5_000);
    await ledger.rotate(client, request.tenantId, request.requestId);
    await use("acme", "beta", "hurried", "new-0");
    await service.endsWhole();
  });

  it.concurrent("ends when it is told to, though the network is silent", async ({ onTestFinished }) => {
    const { proxy, url } = await proxied(await server.createDatabase(), onTestFinished);
    const env = envOf(url);
    const service = await startRecorded(env, { finished: onTestFinished });
    await service.use("acme");
    await delay(1_000);
    proxy.silence();
    const stoppedAt = performance.now();
    service.process.child.kill("SIGTERM");
    expect((await service.process.ended).code).toBe(0);
    expect(performance.now() - stoppedAt).toBeLessThan(patience(6_000));
    proxy.pass();
    await service.ledger.check((await startFaulty(env, { finished: onTestFinished })).client);
  });

  it.concurrent("converges after a commit whose answer was lost", async ({ onTestFinished }) => {
    const { proxy, url } = await proxied(await server.createDatabase(), onTestFinished);
    const env = envOf(url);
    const service = await startRecorded(env, { finished: onTestFinished });
    const { client, use } = service;
    await use("acme");
    const versions = async () =>
      (await client.admin.listKeys({ tenantId: "acme", purpose: KeyPurpose.DATA })).keys.map(
        ({ version }) => version?.version,
      );
    await delay(1_200); // no audit row is on its way, whose commit would be the one that is cut

    for (const [nth, what] of (["cut before", "cut after"] as const).entries()) {
      // Sent in the transaction that makes the new key ACTIVE; what is cut is its commit.
      const inTransaction = proxy.at("insert into kms_requests", "notice");
      const request = { tenantId: "acme", purpose: KeyPurpose.DATA, force: true, requestId: `${nth}` };
      const first = client.rotate(request);
      await inTransaction;
      const cut = proxy.at("commit", what);
      await cut;
      const { rotated } = await first;
      const again = await client.rotate(request);
      expect(again).toMatchObject({ rotated: [{ key: { version: 2 + nth } }], failed: [] });
      expect((await client.rotate(request)).rotated).toEqual(again.rotated);
      expect(rotated).toEqual(what === "cut after" ? again.rotated : []);
      expect(await versions()).toHaveLength(2 + nth);
    }
    await use("acme");
    await service.endsWhole();
  });

  whole.concurrent(
    "goes on with a synchronous standby when the primary is lost, and has all that was answered",
    async ({ expect, onTestFinished }) => {
      const primary = await startPostgres({ durable: true });
      onTestFinished(primary.close);
      const { proxy, url } = await proxied(await primary.createDatabase(), onTestFinished);
      const standby = await primary.standby();
      onTestFinished(standby.close);
      const env = envOf(url);
      const services = [
        await startFaulty(env, { finished: onTestFinished }),
        await startFaulty(env, { finished: onTestFinished }),
      ];
      const ledger = createLedger();
      for (const { client } of services) await ledger.use(client, "acme");

      let isLost = false;
      onTestFinished(() => {
        isLost = true;
      });
      const refused: unknown[] = [];
      const makesKeys = services.map(async ({ client }, replica) => {
        for (let n = 0; !isLost; n++) {
          await ledger.use(client, `tenant-${replica}-${n}`).catch(({ code }) => refused.push(code));
        }
      });
      await ledger.rotate(services[0]!.client, "acme");
      await primary.kill();
      for (const { until } of services) await until("DOWN", 4_000);
      isLost = true;
      await Promise.all(makesKeys);
      for (const code of refused) expect(mayRetry).toContain(code);

      proxy.lead(standby.port);
      for (const { notices } of services) {
        await expect.poll(notices).toContain("the server is a standby");
      }
      await execute(standby.url, "select pg_promote()");
      for (const { until } of services) await until("UP", 5_000);
      for (const { client } of services) {
        await ledger.use(client, "after");
        await ledger.rotate(client, "acme");
        await ledger.check(client);
      }
      for (const { kill } of services) await kill();
      await ledger.check((await startFaulty(env, { finished: onTestFinished })).client);
    },
  );

  whole.concurrent("is down while its audit rows are not allowed", async ({ onTestFinished }) => {
    const owner = await server.createDatabase();
    const role = `app_${new URL(owner).pathname.slice(1)}`;
    await execute(owner, `create role ${role} login password 'secret'`, `grant create on schema public to ${role}`);
    const url = new URL(owner);
    url.username = role;
    url.password = "secret";
    const env = envOf(url.href);
    const service = await startRecorded(env, { finished: onTestFinished });
    const { client, ledger, use } = service;
    await use("acme");
    const { keyId } = await client.generateDataKey({ tenantId: "off" });
    await delay(1_100);

    await execute(owner, `revoke insert on kms_audit from ${role}`);
    await client.generateDataKey({ tenantId: "acme" });
    await service.until("DOWN", 4_000);
    expect(await service.notices()).toMatch(/audit rows cannot be written: .*42501, a right was refused/);
    const { reason } = await unavailable(client.generateDataKey({ tenantId: "acme" }), 1_000);
    expect(reason).toBe("AUDIT_UNAVAILABLE");
    await unavailable(client.admin.disableKey({ tenantId: "off", keyId }), 1_000);
    await execute(owner, `grant insert on kms_audit to ${role}`);
    await service.until("UP", 4_000);
    await ledger.disable(client, "off", keyId);
    await use("acme");
    await service.endsWhole();
  });
});
