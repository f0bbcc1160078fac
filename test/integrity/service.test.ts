/** The passes of a running service over its store: what is damaged is named, and refused, and nothing else is. */
import { join } from "node:path";
import { status as grpcStatus } from "@grpc/grpc-js";
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { Health, type StatusResponse } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { directory } from "../support/config-fixture.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { type Backdoor, postgresBackdoor, sqliteBackdoor } from "../support/store-fixture.ts";
import { inPostgresToo, type VirtualTime, virtualTime } from "../support/virtual-time.ts";

const passMs = 5_000;
const server = await sharedPostgres();
afterAll(() => server.close());

interface World {
  door: Backdoor;
  properties: Record<string, string>;
}

const kinds: [name: string, make: () => Promise<World>][] = [
  [
    "sqlite",
    async () => {
      const door = sqliteBackdoor();
      return { door, properties: { "fluo.kms.store": "sqlite", "fluo.kms.sqlite.file": door.file } };
    },
  ],
  [
    "postgres",
    async () => {
      const door = await postgresBackdoor(server);
      return { door, properties: { "fluo.kms.store": "postgres", "fluo.kms.postgres.url": door.url } };
    },
  ],
];

describe.each(kinds)("a service on %s", (name, make) => {
  let world: World;
  let settings: Record<string, string>;
  let time: VirtualTime;
  beforeEach(async () => {
    world = await make();
    time = virtualTime();
    inPostgresToo(time);
    settings = { ...world.properties, "fluo.kms.local.master-key-file": join(directory(), "master.key") };
  });

  async function started(): Promise<RunningService> {
    const service = await startService(settings, { time });
    onTestFinished(() => service.stop());
    return service;
  }

  async function encrypt(service: RunningService, tenantId: string): Promise<string> {
    const fields = [{ name: "email", value: Buffer.from("a@example.com") }];
    return (await service.grpc.encryptPii({ tenantId, fields })).keyId;
  }

  /** What is known after a pass: it rests for less than a second, and looks at each thing that is wrong once more, after a second. */
  async function checked(service: RunningService): Promise<StatusResponse> {
    await time.advance(passMs);
    const seen = await service.grpc.status({});
    expect(seen.integrity).toMatchObject({ finished: expect.anything(), percent: 100 });
    return seen;
  }

  /** Runs `work` between two services, the first of which has examined the store. */
  async function between(work: (keyId: string) => Promise<void>): Promise<RunningService> {
    const first = await started();
    const keyId = await encrypt(first, "acme");
    await encrypt(first, "other");
    expect((await checked(first)).integrity?.findings).toEqual([]);
    await first.stop();
    await work(keyId);
    return started();
  }

  it("says how far it is, and that nothing is wrong", async () => {
    const service = await started();
    const { integrity, status, notices } = await checked(service);
    expect(integrity).toMatchObject({ percent: 100, findings: [], findingsTotal: 0n });
    expect(status).toBe(Health.OPERATIONAL);
    expect(notices.filter((notice) => /store|integrity/i.test(notice))).toEqual([]);
    const metrics = await (await fetch(`${service.url}/q/metrics`)).text();
    expect(metrics).toMatch(/^kms_integrity_progress_ratio 1$/m);
    expect(metrics).toMatch(/^kms_integrity_findings 0$/m);
    expect(metrics).toMatch(/^kms_integrity_finished_timestamp_seconds [1-9]/m);
  });

  it("refuses a key that was put back to an earlier form of its own, and no other", async () => {
    const first = await started();
    const keyId = await encrypt(first, "acme");
    const [row = {}] = await world.door.sql("select * from kms_keys where key_id = ?1", keyId);
    await first.grpc.admin.disableKey({ tenantId: "acme", keyId });
    await encrypt(first, "other");
    await first.stop();
    const columns = Object.keys(row).filter((column) => column !== "key_id");
    const set = columns.map((column, index) => `${column} = ?${index + 2}`).join(", ");
    await world.door.sql(`update kms_keys set ${set} where key_id = ?1`, keyId, ...columns.map((each) => row[each]!));
    const service = await started();
    await encrypt(service, "acme").catch(() => {}); // its row reads well: it is cached, unless the pass was faster
    const { integrity, status, notices } = await checked(service);
    expect(integrity?.findings).toEqual([expect.objectContaining({ kind: "state", tenantId: "acme", keyId })]);
    expect(status).toBe(Health.DEGRADED);
    expect(notices.join()).toContain(keyId);
    await expect(encrypt(service, "acme")).rejects.toMatchObject({ code: grpcStatus.DATA_LOSS });
    await expect(encrypt(service, "other")).resolves.toMatch(/^[0-9a-f]{32}$/);
  });

  it("refuses a record that was altered, or is gone", async () => {
    const altered = await between(async (keyId) => {
      await world.door.sql("update kms_keys set retired_at = 7 where key_id = ?1", keyId);
    });
    const found = (await checked(altered)).integrity!.findings;
    expect(found.map(({ kind, tenantId }) => [kind, tenantId])).toContainEqual(["record_altered", "acme"]);
    await expect(encrypt(altered, "acme")).rejects.toMatchObject({ code: grpcStatus.DATA_LOSS });
    await altered.stop();
    await world.door.sql("delete from kms_keys where tenant_id = 'acme'");
    const service = await started();
    const { integrity } = await checked(service);
    expect(integrity!.findings.map(({ kind }) => kind)).toContain("record_missing");
    await expect(encrypt(service, "acme")).rejects.toMatchObject({ code: grpcStatus.DATA_LOSS });
    await expect(encrypt(service, "other")).resolves.toMatch(/^[0-9a-f]{32}$/);
  });

  it("is down when a row of the trail is gone", async () => {
    const service = await between(async () => {
      await world.door.sql(
        "delete from kms_audit where id = (select min(id) from kms_audit where action = 'encrypt_pii')",
      );
    });
    const { integrity, status } = await checked(service);
    expect(integrity!.findings.map(({ kind }) => kind)).toEqual(["audit_trail"]);
    expect(status).toBe(Health.DOWN);
    expect((await fetch(`${service.url}/q/health/ready`)).status).toBe(503);
  });

  it.runIf(name === "sqlite")("says what it found in few words, whatever somebody wrote into a row", async () => {
    const service = await between(async () => {
      await world.door.sql("update kms_leases set name = name || ?1", "x".repeat(5_000_000));
    });
    const { integrity, notices } = await checked(service);
    const [found] = integrity!.findings.filter(({ kind }) => kind === "lease_altered");
    expect(found!.what).toMatch(/^the lease \S{100,300}…$/);
    expect(notices.join().length).toBeLessThan(5_000);
  });

  it("stops at once in the middle of a pass", async () => {
    const service = await started();
    await time.advance(10);
    const { began, finished, percent } = (await service.grpc.status({})).integrity!;
    expect([began, finished, percent < 100]).toEqual([expect.anything(), undefined, true]);
    await service.stop();
    const again = await started();
    expect((await checked(again)).integrity?.findings).toEqual([]);
  });

  it.runIf(name === "postgres")("begins a pass at each start, and has each replica find what is wrong", async () => {
    const first = await started();
    await encrypt(first, "acme");
    const before = (await checked(first)).integrity!;
    const second = await started();
    const { began } = (await checked(second)).integrity!;
    expect(began!.seconds).toBeGreaterThanOrEqual(before.began!.seconds);
    await world.door.sql("update kms_keys set retired_at = 7 where tenant_id = 'acme'");
    for (const _ of ["one", "other"]) {
      const found = (await checked(await started())).integrity!.findings;
      expect(found.map(({ kind }) => kind)).toContain("record_altered");
    }
  });
});
