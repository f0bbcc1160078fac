/** Keys that do not rest where the service itself was late: see audit-gate.test.ts for those that do. */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { startFaulty } from "../durable/faults-service.ts";
import { isStopped } from "../durable/replicas.ts";
import { directory } from "../support/config-fixture.ts";

it("refuses no call, and is healthy, after the whole process was stopped for three seconds while its keys were in use", async () => {
  const file = join(directory(), "kms.db");
  const service = await startFaulty({ FLUO_KMS_SQLITE_FILE: file }, {});
  const { child } = service.process;
  const use = () => service.client.generateDataKey({ tenantId: "acme" });
  await use();
  const failed: unknown[] = [];
  let isOver = false;
  let used = 0;
  const users = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      await use().catch((error) => failed.push(error));
      used += 1;
    }
  });
  const uses = async (count: number) => {
    const enough = used + count;
    await expect.poll(() => used).toBeGreaterThan(enough);
  };
  for (let round = 0; round < 2; round += 1) {
    await uses(50);
    child.kill("SIGSTOP");
    await expect.poll(() => isStopped(child)).toBe(true);
    await delay(3_000);
    child.kill("SIGCONT");
    await uses(50);
    await service.until("UP", 0);
  }
  isOver = true;
  await Promise.all(users);
  expect(failed).toEqual([]);
  expect((await service.client.status({})).audit?.problem).toBe("");
});
