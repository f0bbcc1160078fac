/** What a service reads anew while it runs, of a service in this process. What signals add is in reload.process.test.ts. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { startReloads } from "../../src/cli/reloads.ts";
import { loadConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problem.ts";
import { captureLog } from "../support/captured-log.ts";
import { startService } from "../support/running-service.ts";
import { virtualTime } from "../support/virtual-time.ts";

/** Time from a change of the file to the look at it. */
const settleMs = 1_000;
const mapped = (tenant: string, name: string) => `fluo.kms.tenants.${tenant}.provider-key=${name}`;

/** A service with these lines in its file of tenants. */
async function started(...lines: string[]) {
  const directory = mkdtempSync(join(tmpdir(), "fluo-kms-reload-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "tenants.properties");
  const declared = [
    "fluo.kms.provider-keys.a.provider=local",
    `fluo.kms.provider-keys.a.local.master-key-file=${join(directory, "a.key")}`,
  ];
  const write = (next: readonly string[], path = file) => writeFileSync(path, [...declared, ...next].join("\n"));
  write(lines);
  const env = { FLUO_KMS_STORE: "memory", FLUO_KMS_LOG_LEVEL: "info", FLUO_KMS_TENANTS_FILE: file };
  const log = captureLog();
  onTestFinished(log.restore);
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => error.mockRestore());
  const time = virtualTime();
  const service = await startService(env, { time });
  onTestFinished(service.stop);
  const readAnew = vi.fn(() => {
    try {
      return loadConfig({ env });
    } catch (problem) {
      if (!(problem instanceof ConfigError)) throw problem;
      return undefined;
    }
  });
  const reloads = startReloads(loadConfig({ env }), { running: Promise.resolve(service), readAnew, time });
  onTestFinished(reloads.close);
  /** Counts of each time that the provider keys of tenants were read anew. */
  const anew = () =>
    log
      .text()
      .split("\n")
      .filter((line) => line.includes("were read anew"))
      .map((line): unknown => JSON.parse(line));
  return {
    directory,
    file,
    env,
    write,
    time,
    service,
    reloads,
    readAnew,
    anew,
    said: () => error.mock.calls.flat().join("\n"),
  };
}

describe.runIf(process.platform === "linux")("a change of the file", () => {
  it("comes into effect: in its place, by another file, and by a link as Kubernetes swaps it", async () => {
    const { directory, file, write, time, service, anew } = await started();
    const owners = async () => (await service.grpc.status({ tenantId: "t1" })).tenantKeys.length;
    await service.grpc.generateDataKey({ tenantId: "t1" });
    expect(await owners()).toBe(0);
    write([mapped("t1", "a")]);
    await time.advance(settleMs - 1);
    expect(anew()).toEqual([]);
    await time.advance(1);
    expect(anew()).toMatchObject([{ providerKeys: 1, tenants: 1 }]);

    write([mapped("t1", "a"), mapped("t2", "a")], `${file}.new`);
    renameSync(`${file}.new`, file);
    await time.advance(settleMs);
    expect(anew().slice(1)).toMatchObject([{ providerKeys: 1, tenants: 2 }]);

    for (const [at, tenants] of [
      ["1", 1],
      ["2", 3],
    ] as const) {
      mkdirSync(join(directory, at));
      const named = Array.from({ length: tenants }, (_, n) => mapped(`t${n}`, "a"));
      write(named, join(directory, at, "tenants.properties"));
    }
    symlinkSync("1", join(directory, "..data"));
    unlinkSync(file);
    symlinkSync("..data/tenants.properties", file);
    await time.advance(settleMs);
    expect(anew().slice(2)).toMatchObject([{ tenants: 1 }]);
    symlinkSync("2", join(directory, "..next"));
    renameSync(join(directory, "..next"), join(directory, "..data"));
    await time.advance(settleMs);
    expect(anew().slice(3)).toMatchObject([{ tenants: 3 }]);
    expect(await owners()).toBe(1);
  });

  it("that has a mistake leaves the former one in force, and says so, until it is mended", async () => {
    const { write, time, service, anew, said } = await started(mapped("t1", "a"));
    const failed = async () =>
      /^kms_reload_failed\{[^}]*tenants[^}]*\} 1$/m.test(await (await fetch(`${service.url}/q/metrics`)).text());
    const { keyId } = await service.grpc.generateDataKey({ tenantId: "t1" });
    write(["nonsense=1", mapped("t1", "a")]);
    await time.advance(settleMs);
    expect(said()).toBe("fluo-kms: the configuration has problems, so the former one holds");
    expect(await failed()).toBe(true);
    expect((await service.grpc.generateDataKey({ tenantId: "t1" })).keyId).toBe(keyId);
    write([mapped("t1", "a")]);
    await time.advance(settleMs);
    expect(await failed()).toBe(false);
    expect(anew()).toEqual([]);
    write([mapped("t1", "a"), mapped("t2", "a")]);
    await time.advance(settleMs);
    expect(anew()).toMatchObject([{ tenants: 2 }]);
  });

  it("is one of the file that the configuration names since a signal", async () => {
    const { directory, write, env, time, reloads, anew } = await started(mapped("t1", "a"));
    const other = join(directory, "other.properties");
    write([mapped("t1", "a"), mapped("t2", "a")], other);
    env.FLUO_KMS_TENANTS_FILE = other;
    reloads.all();
    await time.idle();
    expect(anew()).toMatchObject([{ tenants: 2 }]);
    write([mapped("t1", "a"), mapped("t2", "a"), mapped("t3", "a")], other);
    await time.advance(settleMs);
    expect(anew().slice(1)).toMatchObject([{ tenants: 3 }]);
  });

  it("is one of named provider keys in YAML: changed, mistaken and mended", async () => {
    const { directory, env, time, reloads, anew, said } = await started();
    const file = join(directory, "keys.yaml");
    const yaml = (tenants: string) =>
      writeFileSync(
        file,
        `version: 1\nkeys: { b: { provider: local, local.master-key-file: ${join(directory, "b.key")} } }\ntenants: { ${tenants} }\n`,
      );
    yaml("t1: b");
    Object.assign(env, { FLUO_KMS_PROVIDER_KEYS_FILE: file });
    reloads.all();
    await time.idle();
    expect(anew()).toMatchObject([{ tenants: 1 }]);
    yaml("t1: b, t2: b");
    await time.advance(settleMs);
    expect(anew().slice(1)).toMatchObject([{ tenants: 2 }]);
    yaml("t1: b, t2: c");
    await time.advance(settleMs);
    expect(said()).toBe("fluo-kms: the configuration has problems, so the former one holds");
    yaml("t1: b, t3: b, t4: b");
    await time.advance(settleMs);
    expect(anew().slice(2)).toMatchObject([{ tenants: 3 }]);
  });

  it("that a signal had read already is not read twice", async () => {
    const { write, time, reloads, readAnew, anew } = await started(mapped("t1", "a"));
    write([mapped("t1", "a"), mapped("t2", "a")]);
    reloads.all();
    await time.idle();
    expect(anew()).toHaveLength(1);
    write([mapped("t1", "a"), mapped("t2", "a"), "# a remark"]);
    await time.advance(60_000 + settleMs); // with the look of each minute
    expect(readAnew).toHaveBeenCalledTimes(2);
    expect(anew()).toHaveLength(1);
  });
});
