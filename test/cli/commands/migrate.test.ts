import { expect, it } from "vitest";
import { newestSchema } from "../../../src/store/sql/rows/schema.ts";
import { run } from "../../support/cli-fixture.ts";
import { liveIn, sql, sqlitePlace } from "../../support/cli-store-fixture.ts";

it("brings a store up to date once, and says that nothing is left to finish", async () => {
  const where = sqlitePlace();
  expect(await where.run("migrate")).toMatchObject({
    code: 0,
    out: expect.stringMatching(new RegExp(`was made, of schema version ${newestSchema}\nthe upgrade is finished\n$`)),
  });
  expect(await where.run("migrate")).toMatchObject({
    code: 0,
    out: expect.stringMatching(new RegExp(`has schema version ${newestSchema}\nthe upgrade is finished\n$`)),
  });
});

it("is what a start that may not make tables asks for", async () => {
  const where = sqlitePlace();
  const { code, err } = await run(["serve"], {
    env: { ...where.env, FLUO_KMS_STORE_MIGRATE: "never" },
    cwd: where.directory,
  });
  expect(code).toBe(1);
  expect(err).toContain("is never: see that its volume is mounted, or make the store by fluo-kms migrate");
});

it("does not say of an upgrade to a newer release that it is finished, nor finishes it", async () => {
  const where = sqlitePlace();
  await liveIn(where);
  await sql(where, `update kms_schema set version = ${newestSchema + 1}`);
  const { code, out } = await where.run("migrate");
  expect(code).toBe(0);
  expect(out).toContain(`has schema version ${newestSchema + 1}\n`);
  expect(out).toContain("until the newer release's fluo-kms migrate --finish");
  expect(out).not.toContain("the upgrade is finished");
  expect(await where.run("migrate", "--finish")).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringContaining("run the newer release's fluo-kms migrate --finish"),
  });
});
