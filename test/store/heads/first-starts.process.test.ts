/** First starts of two services at once, more often than the first tier tries them. */
import { afterAll, it } from "vitest";
import { postgresWorld, sqliteWorld, startTwoAtOnce } from "../../support/heads-fixture.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

it.each([
  ["SQLite", sqliteWorld],
  ["PostgreSQL", () => postgresWorld(server)],
] as const)("begin one heads file of %s, and neither misses it", (_name, make) => startTwoAtOnce(make, 10));
