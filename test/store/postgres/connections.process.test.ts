/** A live service on a PostgreSQL that speaks TLS, and whose password is in a file and is rotated. */
import { chmodSync, mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { thrownBy } from "../../support/matchers.ts";
import { newAuthority } from "../../support/pki.ts";
import { startPostgres } from "../../support/postgres-server.ts";
import { startService } from "../../support/running-service.ts";

const directory = mkdtempSync(join(tmpdir(), "fluo-kms-postgres-tls-"));
const written = (name: string, text: string) => {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
};
const authority = newAuthority();
const ca = written("ca.pem", authority.pem);
const anotherCa = written("another-ca.pem", newAuthority().pem);
const forHere = { dns: ["localhost"], addresses: ["127.0.0.1"], extendedKeyUsage: ["serverAuth"] } as const;
const server = await startPostgres({ tls: authority.issue(forHere) });
const misnamed = await startPostgres({ tls: authority.issue({ ...forHere, dns: ["another.test"], addresses: [] }) });
const plain = await startPostgres();
afterAll(async () => {
  await Promise.all([server, misnamed, plain].map((each) => each.close()));
  rmSync(directory, { recursive: true });
});

const base = { "fluo.kms.store": "postgres", "fluo.kms.local.master-key-file": join(directory, "master.key") };

/** Of a new database; each test has its own. */
async function urlOf({ createDatabase }: Pick<typeof server, "createDatabase">, host = "localhost"): Promise<URL> {
  const url = new URL(await createDatabase());
  url.hostname = host;
  url.searchParams.set("sslmode", "verify-full");
  return url;
}

async function started(url: URL, more: Record<string, string>) {
  const service = await startService({ ...base, "fluo.kms.postgres.url": url.href, ...more });
  onTestFinished(service.stop);
  return service;
}

describe("sslmode=verify-full with fluo.kms.postgres.ca", () => {
  it.each(["localhost", "127.0.0.1"])("serves over TLS alone if the certificate is for %s", async (host) => {
    const url = await urlOf(server, host);
    const service = await started(url, { "fluo.kms.postgres.ca": ca });
    await service.grpc.generateDataKey({ tenantId: "acme" });
    const rows = await asAdmin(async (client) => {
      const { rows: found } = await client.query(
        "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where datname = $1 and application_name like 'fluo-kms/%'",
        [url.pathname.slice(1)],
      );
      return found;
    });
    expect(rows.length).toBeGreaterThan(1); // calls, and news
    expect(new Set(rows.map(({ ssl }) => ssl))).toEqual(new Set([true]));
  });

  it.each([
    [
      "a certificate of another name",
      misnamed,
      ca,
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "is for another name than the host",
    ],
    ["one by another authority", server, anotherCa, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "set fluo.kms.postgres.ca to"],
    ["one by no public authority", server, undefined, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "set fluo.kms.postgres.ca to"],
    ["a server without TLS", plain, ca, "the server speaks no TLS", ""],
  ])("refuses %s", async (_what, of, file, reason, advice) => {
    const url = await urlOf(of);
    const error = await thrownBy(() => started(url, file === undefined ? {} : { "fluo.kms.postgres.ca": file }));
    expect(error).toBeKmsError("STORE_UNAVAILABLE", reason);
    expect((error as KmsError).advice ?? "").toContain(advice);
  });
});

/** Work as the superuser of the server that speaks TLS. */
async function asAdmin<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  return work(client).finally(() => client.end());
}

describe("fluo.kms.postgres.password-file", () => {
  /** A role of its own, and a database that it owns. */
  async function withRole(role: string) {
    const url = await urlOf(server);
    const name = url.pathname.slice(1);
    await asAdmin(async (client) => {
      await client.query(`create role ${role} login password 'first'`);
      await client.query(`alter database ${name} owner to ${role}`);
    });
    Object.assign(url, { username: role, password: "" });
    const file = written(`${role}.password`, "first\n");
    return {
      url,
      file,
      properties: { "fluo.kms.postgres.ca": ca, "fluo.kms.postgres.password-file": file },
      atServer: (password: string) => asAdmin((client) => client.query(`alter role ${role} password '${password}'`)),
      /** As the kubelet does it: the file is another one at once. */
      inFile(password: string) {
        renameSync(written(`${role}.next`, password), file);
      },
      connectedSince: (at: Date) =>
        asAdmin(async (client) => {
          const { rows } = await client.query(
            "select count(*)::int as count from pg_stat_activity where usename = $1 and backend_start > $2",
            [role, at],
          );
          return rows[0].count as number;
        }),
    };
  }

  it("is read at each new connection: a password is rotated under load, and no call fails", async () => {
    const { url, properties, atServer, inFile, connectedSince } = await withRole("rotated");
    const { grpc } = await started(url, properties);
    let [calls, running] = [0, true];
    const failures: unknown[] = [];
    async function client(id: string): Promise<void> {
      while (running) {
        const tenantId = `${id}-${calls}`; // a new one, whose key is stored
        calls += 1;
        await grpc.generateDataKey({ tenantId }).catch((error) => failures.push(error));
      }
    }
    const clients = [client("a")];
    for (const password of ["second", "third"]) {
      await delay(500);
      const at = new Date();
      await atServer(password);
      clients.push(...["b", "c", "d"].map((id) => client(`${id}-${password}`))); // which need more connections
      await delay(300);
      inFile(password);
      await expect.poll(() => connectedSince(at)).toBeGreaterThan(0);
    }
    await delay(500);
    running = false;
    await Promise.all(clients);
    console.log(`${calls} calls, ${failures.length} failed`);
    expect(failures).toEqual([]);
    expect(calls).toBeGreaterThan(20);
  });

  it.each([
    ["is wrong", (file: string) => writeFileSync(file, "wrong"), "28P01"],
    ["is empty", (file: string) => writeFileSync(file, "\n"), "is empty"],
  ])("refuses a start if what it holds %s", async (what, change, reason) => {
    const { url, file, properties } = await withRole(what.replace(" ", "_"));
    change(file);
    expect(await thrownBy(() => started(url, properties))).toBeKmsError("STORE_UNAVAILABLE", reason);
  });

  it("lets the service go on with the connections that it has if the file is gone, and with new ones once it is back", async () => {
    const { url, file, properties } = await withRole("gone");
    const { grpc } = await started(url, { ...properties, "fluo.kms.postgres.max-connections": "1" });
    await grpc.generateDataKey({ tenantId: "acme" });
    unlinkSync(file);
    await grpc.generateDataKey({ tenantId: "globex" });
    await asAdmin((client) =>
      client.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'gone'"),
    );
    const failure = await thrownBy(async () => {
      for (let n = 0; n < 5; n += 1) await grpc.generateDataKey({ tenantId: `lost-${n}` });
    });
    expect(String(failure)).toContain("UNAVAILABLE");
    writeFileSync(file, "first");
    chmodSync(file, 0o600);
    await expect.poll(() => grpc.generateDataKey({ tenantId: "back" }).then(() => "served", String)).toBe("served");
  });
});
