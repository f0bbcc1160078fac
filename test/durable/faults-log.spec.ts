/** A log that is damaged while the service has given its connection up, as its disk failed: it is judged before SQLite opens it again. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { failingCalls } from "../faults/failing-calls.ts";
import { resultOf, start } from "../support/cli-fixture.ts";
import { damageLog } from "../support/crashed-store.ts";
import { whyNotPreloaded } from "../support/preloaded-library.ts";
import type { ServiceProcess } from "../support/service-process.ts";
import { newStoreDir } from "./faults-store.ts";
import { startFaulty, unavailable } from "./faults-service.ts";

const why = whyNotPreloaded();

it.skipIf(why !== undefined && !process.env.CI)(
  "keeps every byte of a log that was damaged",
  async ({ onTestFinished }) => {
    const { dir, file, env } = newStoreDir(onTestFinished);
    const calls = failingCalls(dir);
    onTestFinished(calls.close);
    const service = await startFaulty({ ...env, ...calls.env }, { finished: onTestFinished });
    const { client } = service;
    const tenants = Array.from({ length: 8 }, (_, n) => `tenant-${n}`);
    for (const tenantId of tenants) await client.generateDataKey({ tenantId });

    calls.fail("write", "ENOSPC");
    await unavailable(client.rotate({ tenantId: "tenant-0", force: true }), 4_000);
    await service.until("DOWN", 4_000);
    await damageClosedLog(service.process, file);
    const bytes = () => ["", "-wal"].map((end) => readFileSync(file + end));
    const damaged = bytes();
    calls.heal();
    await expect.poll(service.notices).toContain("is not opened again after an error");
    await unavailable(client.generateDataKey({ tenantId: "tenant-9" }), 4_000);
    await service.kill();
    expect(bytes()).toEqual(damaged);

    const ports = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
    const { code, err } = await resultOf(start([], { env: { ...ports, ...env }, finished: onTestFinished }));
    expect({ code, err }).toMatchObject({
      code: 1,
      err: expect.stringMatching(/ is damaged at frame \d+, before a commit/),
    });
    expect(bytes()).toEqual(damaged);
  },
);

/** The service opens the log for a moment each time that it tries again. What is damaged meanwhile is not what it looked at. */
async function damageClosedLog({ child }: ServiceProcess, file: string): Promise<void> {
  const proc = `/proc/${child.pid}`;
  const fds = join(proc, "fd");
  const isStopped = () => /\) T /.test(readFileSync(join(proc, "stat"), "utf8"));
  const isOpen = () => readdirSync(fds).some((fd) => readlinkSync(join(fds, fd)) === `${file}-wal`);
  for (;;) {
    child.kill("SIGSTOP");
    while (!isStopped()) await delay(1);
    const isClosed = !isOpen();
    if (isClosed) damageLog(file);
    child.kill("SIGCONT");
    if (isClosed) return;
    await delay(7);
  }
}
