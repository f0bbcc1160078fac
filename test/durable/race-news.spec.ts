/** What replicas do when news cannot come: states that were read are believed for a time only, and then read again. */
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newMasterKeyFile, startReplica } from "./replicas.ts";
import { serverOfFile } from "./services.ts";

const server = await serverOfFile();

/** For the service it is 30 s. */
const stateTtlMs = 1_500;

describe.skipIf(server === undefined)("a replica that hears no news", () => {
  let admin: pg.Client;

  beforeAll(async () => {
    admin = new pg.Client({ connectionString: server!.url });
    await admin.connect();
  });

  afterAll(async () => {
    await admin.end();
  });

  it("refuses a key that another disabled as soon as it may not believe its state any more", async () => {
    const url = await server!.createDatabase();
    const masterKeyFile = newMasterKeyFile();
    const replica = (name: string) =>
      startReplica({
        store: { name: "postgres", url: `${url}?application_name=${name}`, maxConnections: 2 },
        masterKeyFile,
        stateTtlMs,
      });
    const [here, there] = [replica("here"), replica("there")];
    const [keyId] = (await here.ask("activeKeys", ["acme"], "data")).keyIds;
    const use = () => there.ask("openWith", "acme", keyId!);
    expect(await use()).toBe("OK");

    const listeners = "application_name = 'there' and query in ('listen fluo_kms', 'select 1')";
    const listening = async () => (await admin.query(`select pid from pg_stat_activity where ${listeners}`)).rowCount;
    await expect.poll(listening).toBe(1);

    // Nobody can connect to the database any more; what is connected stays, but for the one that listens.
    await admin.query(`alter database ${new URL(url).pathname.slice(1)} allow_connections false`);
    await admin.query(`select pg_terminate_backend(pid, 5000) from pg_stat_activity where ${listeners}`);
    expect(await listening()).toBe(0);

    await here.ask("disable", "acme", keyId!);
    const disabledAt = performance.now();
    let longestTurnMs = 0;
    for (let askedAt = disabledAt; (await use()) === "OK"; askedAt = performance.now()) {
      await delay(10);
      longestTurnMs = Math.max(longestTurnMs, performance.now() - askedAt);
    }
    const waitedMs = performance.now() - disabledAt;
    expect(await use()).toBe("KEY_UNUSABLE");
    expect(await listening()).toBe(0);
    console.log(
      `without news a key that another disabled was refused after ${Math.round(waitedMs)} of ${stateTtlMs} ms`,
    );
    // As often as it was asked, and the machine let it answer.
    expect(waitedMs).toBeLessThan(stateTtlMs + 500 + 2 * longestTurnMs);
    await Promise.all([here.end(), there.end()]);
  });
});
