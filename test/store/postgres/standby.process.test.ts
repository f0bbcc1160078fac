/** A start on a server that follows another and only reads. */
import { afterAll, expect, it } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { openPostgres } from "../../../src/store/postgres/open.ts";
import { openTables } from "../../../src/store/registry.ts";
import { thrownBy } from "../../support/matchers.ts";
import { startPostgres } from "../../support/postgres-server.ts";
import { unlocked } from "../../support/store-fixture.ts";

const server = await startPostgres();
afterAll(() => server.close());

it("is refused on a standby in each mode of migrate, while its tables can be read", async () => {
  const settings = { name: "postgres", url: await server.createDatabase(), maxConnections: 1 } as const;
  await (await unlocked(await openPostgres(settings, realTime))).close();
  await (await server.copied()).putBack("standby");
  for (const migrate of ["auto", "never"] as const) {
    const error = (await thrownBy(() => openPostgres({ ...settings, migrate }, realTime))) as KmsError;
    expect(error).toBeKmsError("STORE_UNAVAILABLE", "the PostgreSQL server is a standby");
    expect(error.advice).toBe("let fluo.kms.postgres.url lead to the server that is written to");
  }
  const tables = await openTables(settings);
  expect(await tables.storeKey()).toMatchObject({ provider: "local" });
  await tables.close();
});
