/** A SQLite store whose log lost durable commits, as an operator meets it: the refused start, and what accepts the loss. */
import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { crashedStore, damageLog } from "../../support/crashed-store.ts";
import { startProcess } from "../../support/service-process.ts";

it("is accepted by the digest of its log alone, keeps what was, and is used from then on", async () => {
  using made = await crashedStore();
  const { where, file } = made;
  damageLog(file);
  const refused = await where.run("check");
  expect(refused.code).toBe(1);
  const digest = /accept-rollback ([0-9a-f]{64})/.exec(refused.err)![1]!;
  const before = made.bytes();
  const wrong = await where.run("accept-rollback", "0".repeat(64));
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining("another damage") });
  expect(made.bytes()).toEqual(before);

  const accepted = await where.run("accept-rollback", digest);
  expect(accepted).toMatchObject({ code: 0, err: "" });
  const kept = /as (\S+\.lost-\S+)/.exec(accepted.out)![1]!;
  expect(existsSync(kept) && existsSync(`${kept}-wal`)).toBe(true);
  const service = await startProcess(where.env);
  const rows = await service.client.admin.listAuditEvents({ pageSize: 1000 });
  expect(rows.events).toContainEqual(expect.objectContaining({ detail: digest }));
  expect((await service.client.generateDataKey({ tenantId: "early-1" })).keyId).toMatch(/^[0-9a-f]{32}$/);
  await service.end();
});
