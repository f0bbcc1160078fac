/** What a PostgreSQL server is found to be: by itself, behind poolers, and as a standby. */
import { afterAll, expect, it, onTestFinished } from "vitest";
import { examinedServer } from "../../../src/store/registry.ts";
import { startPostgres } from "../../support/postgres-server.ts";
import { startTransactionPooler } from "../../support/transaction-pooler.ts";

const server = await startPostgres();
afterAll(() => server.close());

const examined = (url: string) => examinedServer({ name: "postgres", url, maxConnections: 7 });

it("says what it takes and what a replica needs", async () => {
  expect(await examined(await server.createDatabase())).toEqual({
    maxConnections: 100,
    perReplica: 10,
    isStandby: false,
    isPooled: false,
    tls: undefined,
  });
});

it.each([1, 2, 5])("finds a transaction pooler that has %i sessions", async (sessions) => {
  const url = new URL(await server.createDatabase());
  const pooler = await startTransactionPooler(url.href, sessions);
  onTestFinished(pooler.close);
  url.port = String(pooler.port);
  expect(await examined(url.href)).toMatchObject({ maxConnections: 100, isPooled: true });
});

it("finds a standby", async () => {
  const url = await server.createDatabase();
  await (await server.copied()).putBack("standby");
  expect(await examined(url)).toMatchObject({ isStandby: true, isPooled: false });
});

it("has nothing to say of a store without a server", async () => {
  expect(await examinedServer({ name: "sqlite", file: "/nowhere/kms.db" })).toBeUndefined();
});
