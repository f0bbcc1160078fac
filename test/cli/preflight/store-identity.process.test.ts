/** Preflight that reads another store than the service's: a copy has the id, the keys and the audit rows of its original. */
import { copyFileSync, existsSync } from "node:fs";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Line } from "../../../src/cli/preflight/line.ts";
import { postRpc } from "../../support/api-fixture.ts";
import { type Place, postgresPlace, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { type PostgresServer, startPostgres } from "../../support/postgres-server.ts";
import { startProcess } from "../../support/service-process.ts";

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.close());

/** The lines by their ids. */
async function preflight(place: Place, address: string): Promise<Record<string, Line>> {
  const { out, err } = await place.run("preflight", "--json", "--address", address);
  expect(err).toBe("");
  return Object.fromEntries(JSON.parse(out).checks.map((line: Line) => [line.id, line]));
}

async function served(place: Place): Promise<string> {
  const { http } = await startProcess(place.env);
  await makeKey(http);
  return http;
}

/** Has the service make a key, which is in the store and in its audit trail then. */
async function makeKey(http: string): Promise<void> {
  expect((await postRpc(http, "GenerateDataKey", { tenantId: "acme" })).status).toBe(200);
}

const isTheServices = { outcome: "PASS", text: expect.stringMatching(/^[0-9a-f]{32}, and the service writes to it$/) };
const isCopy = {
  outcome: "FAIL",
  text: expect.stringMatching(
    /^what the service has just written is not in the store of these settings, [0-9a-f]{32}:/,
  ),
};

describe.each([
  ["sqlite", async () => sqlitePlace()],
  ["postgres", () => postgresPlace(server)],
] as const)("a restored copy in %s, under the same provider key", (kind, newPlace) => {
  it("fails, while the original passes, and nothing of the copy is judged", async () => {
    const place = await newPlace();
    const http = await served(place);
    const backup = join(place.directory, "kms.backup");
    expect(await place.run("backup", backup)).toMatchObject({ code: 0 });
    const settings =
      kind === "sqlite"
        ? ({ name: "sqlite", file: join(place.directory, "copy.db") } as const)
        : ({ name: "postgres", url: await server.createDatabase(), maxConnections: 2 } as const);
    const copy = place.with(settings);
    expect(await copy.run("restore", backup)).toMatchObject({ code: 0 });
    const original = await preflight(place, http);
    expect(original["store-identity"]).toMatchObject(isTheServices);
    expect(original.store!.outcome).toBe("PASS");
    const other = await preflight(copy, http);
    expect(other["store-identity"]).toMatchObject(isCopy);
    for (const id of ["profile", "store", "backup", "drill", "upgrade"]) {
      expect(other[id], id).toMatchObject({
        outcome: "SKIPPED",
        text: "not tried: these settings are not the service's",
      });
    }
  });
});

it("fails for a copy of the file that was made a moment ago, all rows of which are the service's", async () => {
  const place = sqlitePlace();
  const http = await served(place);
  expect((await preflight(place, http))["store-identity"]).toMatchObject(isTheServices);
  const copy = place.with({ name: "sqlite", file: join(place.directory, "copy.db") });
  for (const end of ["", "-wal"].filter((each) => existsSync(join(place.directory, `kms.db${each}`)))) {
    copyFileSync(join(place.directory, `kms.db${end}`), join(place.directory, `copy.db${end}`));
  }
  expect((await preflight(copy, http))["store-identity"]).toMatchObject(isCopy);
});

it("fails for another database of the server by its id, without waiting for a row", async () => {
  const [place, other] = [await postgresPlace(server), await postgresPlace(server)];
  const http = await served(place);
  await served(other);
  expect((await preflight(other, http))["store-identity"]).toMatchObject({
    outcome: "FAIL",
    text: expect.stringMatching(/^these settings lead to the store [0-9a-f]{32}, and the service has [0-9a-f]{32}$/),
  });
});

it("passes for two replicas behind one address, whichever of them answers", async () => {
  const place = await postgresPlace(server);
  const ports = [await served(place), await served(place)].map((http) => Number(new URL(http).port));
  let turn = 0;
  const balancer = createServer((caller) => {
    turn += 1;
    const replica = connect(ports[turn % ports.length]!, "127.0.0.1");
    for (const socket of [caller, replica]) socket.on("error", () => socket.destroy());
    caller.pipe(replica).pipe(caller);
  }).listen(0, "127.0.0.1");
  await once(balancer, "listening");
  onTestFinished(() => void balancer.close());
  const address = `http://127.0.0.1:${(balancer.address() as AddressInfo).port}`;
  // A call of another between two preflights has the other replica answer the decisive one.
  for (let round = 0; round < 2; round += 1) {
    expect((await preflight(place, address))["store-identity"]).toMatchObject(isTheServices);
    await fetch(`${address}/q/health/live`);
  }
  expect(turn).toBeGreaterThan(ports.length);
});

it("knows a standby of the service's server, which another line refuses", async () => {
  const place = await postgresPlace(server);
  const http = await served(place);
  if (place.settings.name !== "postgres") throw new Error("a place in PostgreSQL has another store");
  const standby = await server.standby();
  try {
    const url = new URL(place.settings.url);
    url.port = String(standby.port);
    const lines = await preflight(place.with({ ...place.settings, url: url.href }), http);
    expect(lines["store-identity"]).toMatchObject(isTheServices);
    expect(lines["postgres-primary"]!.outcome).toBe("FAIL");
  } finally {
    await standby.close();
  }
});
