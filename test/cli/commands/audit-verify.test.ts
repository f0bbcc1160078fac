/** `audit verify` of a real service; what it prints is in `transcripts/audit-verify.md`. */
import { expect, it, onTestFinished } from "vitest";
import { run } from "../../support/cli-fixture.ts";
import { liveIn, sql, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { startService } from "../../support/running-service.ts";

it("asks a real service, which finds the row that was taken away", async () => {
  const where = sqlitePlace();
  await liveIn(where);
  const { url, stop } = await startService(where.env);
  onTestFinished(stop);
  const verify = (...args: string[]) => run(["audit", "verify", "--address", url, ...args]);
  const { code, out } = await verify();
  expect({ code, last: out.trimEnd().split("\n").at(-1) }).toEqual({
    code: 0,
    last: expect.stringMatching(/no problems$/),
  });
  const heads = out.match(/(?<=^head ).*/gm)!.flatMap((head) => ["--head", head]);
  expect((await verify(...heads)).code).toBe(0);
  await sql(where, "delete from kms_audit where sequence = 3");
  const again = await verify(...heads);
  expect(again.code).toBe(1);
  expect(again.out).toMatch(/^problem: writer [0-9a-f]{32}: row 3 is missing$/m);
});
