/** What Status and Validate say of a heads file that does not protect, and that nothing is wrong with the rest for it. */
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Health, Outcome } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { place, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { expectWell } from "../../support/advice.ts";
import { postgresAvailable } from "../../support/postgres-cluster.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { startProcess } from "../../support/service-process.ts";

const memory = "/dev/shm";
const isElsewhere = existsSync(memory) && statSync(memory).dev !== statSync(tmpdir()).dev;

async function saidBy(env: Record<string, string>) {
  const { client, end } = await startProcess(env);
  const { overall, recommendations } = await client.validate({});
  const { heads, status } = await client.status({});
  expect({ overall, status }).toEqual({ overall: Outcome.PASS, status: Health.OPERATIONAL });
  expectWell(recommendations);
  await end();
  return { remark: heads?.remark, recommended: recommendations.filter((each) => each.includes("heads")) };
}

it("says that a snapshot of the volume brings both back", async () => {
  const { remark, recommended } = await saidBy(sqlitePlace().env);
  expect(remark).toMatch(/kms\.db-heads is on the file system of the store: .* can name a place elsewhere$/);
  expect(recommended).toEqual([`${remark}.`]);
});

it.runIf(isElsewhere)("says nothing of a file on another disk", async () => {
  const disk = mkdtempSync(join(memory, "fluo-kms-heads-"));
  onTestFinished(() => rmSync(disk, { recursive: true }));
  const env = { ...sqlitePlace().env, FLUO_KMS_AUDIT_HEADS_FILE: join(disk, "heads") };
  expect(await saidBy(env)).toEqual({ remark: "", recommended: [] });
});

it("says nothing of a store in memory", async () => {
  expect(await saidBy({})).toEqual({ remark: "", recommended: [] });
});

it.runIf(postgresAvailable())("asks for a file where PostgreSQL has none", async () => {
  const server = await sharedPostgres();
  onTestFinished(() => server.close());
  const url = await server.createDatabase();
  const { env } = place(directory(), { name: "postgres", url, maxConnections: 4 });
  const { remark, recommended } = await saidBy(env);
  expect(remark).toMatch(/^no heads file is kept, .* set fluo\.kms\.audit\.heads-file$/);
  expect(recommended).toEqual([`N${remark!.slice(1)}.`]);
});
