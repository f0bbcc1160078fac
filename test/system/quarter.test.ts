/** A service in virtual time, for longer than a test could wait: what its timers do in a quarter of a year, and that none outlives it. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Health } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { tokenPolicy } from "../support/token-policy.ts";
import { type VirtualTime, virtualTime } from "../support/virtual-time.ts";

const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000];
const start = new Date("2026-01-01T00:00:00.000Z");
const value = Buffer.from("ann@example.com");
const fields = [{ name: "email", value }];

/** Time that `stop` may take, of which most is for calls that run. */
const stopMs = minuteMs;

async function started(properties: Record<string, string> = {}) {
  const time = virtualTime({ start });
  const service = await startService(properties, { time });
  onTestFinished(() => time.until(service.stop(), stopMs));
  return { service, time };
}

describe("a service that runs for a quarter of a year", () => {
  it("rotates its keys on the day, each at a moment of its own in half a minute, and fails no call", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5); // a moment at the very end would leave no time for the rotation itself
    onTestFinished(() => void vi.restoreAllMocks());
    const { service, time } = await started({ "kms.rotation.check-cron": "0 0 2 * * ?" });
    const { grpc } = service;
    const encrypt = async () => (await grpc.encryptPii({ tenantId: "acme", fields })).fields[0]!.token;
    const tokens = [await encrypt()];
    const versions = async () =>
      (await grpc.admin.listKeys({ tenantId: "acme" })).keys.map((key) => key.version!.version);
    for (let day = 0; day < 90; day += 1) {
      await time.skip(dayMs - minuteMs); // all that is due then runs at its end, once
      await time.advance(minuteMs);
      tokens.push(await encrypt());
      if (day % 10 === 0) expect(await versions()).toEqual([1]);
    }
    const status = await grpc.status({});
    expect(status.status).toBe(Health.OPERATIONAL);
    const finished = Number(status.integrity!.finished!.seconds) * 1_000;
    expect(time.now().getTime() - finished).toBeLessThan(8 * dayMs); // once a week

    // It is the end of day 90, and the run of 2 o'clock is to come.
    await time.skip(hourMs);
    await time.advance(hourMs - 1);
    expect(await versions()).toEqual([1]);
    await time.advance(30_000 + 1);
    expect((await versions()).toSorted()).toEqual([1, 2]);
    const { events } = await grpc.admin.listAuditEvents({ tenantId: "acme", pageSize: 1_000 });
    const [rotated] = events.filter(({ action }) => action === "rotate");
    const atMs = Number(rotated!.at!.seconds) * 1_000 + rotated!.at!.nanos / 1e6;
    const planned = start.getTime() + 90 * dayMs + 2 * hourMs;
    expect(atMs - planned).toBeGreaterThanOrEqual(0);
    expect(atMs - planned).toBeLessThan(30_000);

    tokens.push(await encrypt());
    const opened = await grpc.decryptPii({
      tenantId: "acme",
      fields: tokens.map((token) => ({ token, name: "email" })),
    });
    expect(opened.fields.map(({ result }) => Buffer.from(result.value as Uint8Array).toString())).toEqual(
      tokens.map(() => String(value)),
    );
  });

  it("has every use in its audit trail, and leaves no timer behind", async () => {
    const { service, time } = await started();
    const { grpc } = service;
    const use = () => grpc.encryptPii({ tenantId: "acme", fields });
    await use();
    await time.advance(minuteMs);
    const timers = time.timers();
    for (let day = 0; day < 30; day += 1) {
      await time.skip(dayMs);
      for (let n = 0; n < 3; n += 1) await use();
    }
    await time.advance(minuteMs);
    const { events } = await grpc.admin.listAuditEvents({ tenantId: "acme", pageSize: 1_000 });
    const uses = events.filter(({ action }) => action === "encrypt_pii").reduce((sum, { count }) => sum + count, 0n);
    expect(uses).toBe(1n + 90n);
    expect(time.timers()).toBeLessThan(timers + 10); // one that is left a day would be 30
  });
});

describe("a service that has ended", () => {
  const policy = tokenPolicy({ all: { roles: ["encrypt", "status"] } });
  const folder = () => mkdtempSync(join(tmpdir(), "fluo-kms-test-"));

  it.each<[string, (time: VirtualTime) => Promise<RunningService>]>([
    ["in memory", (time) => startService({}, { time })],
    [
      "on SQLite, with backups",
      (time) => {
        const dir = folder();
        const properties = {
          "fluo.kms.sqlite.file": join(dir, "kms.db"),
          "fluo.kms.local.master-key-file": join(dir, "master.key"),
          "fluo.kms.backup.cron": "0 0 3 * * ?",
          "fluo.kms.backup.directory": join(dir, "backups"),
        };
        return startService({ "fluo.kms.store": "sqlite", ...properties }, { time });
      },
    ],
    ["under a policy", (time) => startService({}, { files: policy.files, time })],
  ])("%s leaves no timer", async (_where, begin) => {
    const time = virtualTime({ start });
    const service = await begin(time);
    await service.grpc.encryptPii({ tenantId: "acme", fields }).catch(() => {}); // one of nobody under a policy
    await time.advance(2_000);
    expect(time.timers()).toBeGreaterThan(5);
    await time.until(service.stop(), stopMs);
    expect(time.timers()).toBe(0);
  });
});
