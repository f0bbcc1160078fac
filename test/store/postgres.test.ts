import { afterAll } from "vitest";
import { openPostgres } from "../../src/store/postgres.ts";
import { startPostgres } from "../postgres-server.ts";
import { storeContract } from "../store-contract.ts";
import { unlocked } from "./fixture.ts";

const server = await startPostgres();
afterAll(() => server.close());

storeContract("postgres", async () => {
  const url = await server.createDatabase();
  return unlocked(await openPostgres({ name: "postgres", url, maxConnections: 4 }));
});
