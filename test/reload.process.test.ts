/** SIGHUP to the process itself: what it says of what it read, and that it comes through signals at the worst times. */
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { startProcess } from "./support/service-process.ts";

const declared = (name: string) => [
  `fluo.kms.provider-keys.${name}.provider=local`,
  `fluo.kms.provider-keys.${name}.local.master-key-file=${name}.key`,
];
const mapped = (tenant: string, name: string) => `fluo.kms.tenants.${tenant}.provider-key=${name}`;
const inTheClear = [
  "fluo.kms.provider-keys.bank.provider=vault",
  "fluo.kms.provider-keys.bank.vault.addr=http://vault.invalid:8200",
  "fluo.kms.provider-keys.bank.vault.token=t",
  "fluo.kms.provider-keys.bank.vault.transit.key=kms",
];

async function started(lines: string[]) {
  const directory = mkdtempSync(join(tmpdir(), "fluo-kms-reload-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "tenants.properties");
  const write = (next: string[]) => writeFileSync(file, next.join("\n"));
  write(lines);
  const environment = {
    FLUO_KMS_SQLITE_FILE: join(directory, "kms.db"),
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(directory, "own.key"),
    FLUO_KMS_TENANTS_FILE: file,
    FLUO_KMS_LOG_LEVEL: "info",
  };
  const service = await startProcess(environment, { cwd: directory });
  const { client: kms } = service;
  let said = "";
  service.child.stderr!.on("data", (data) => {
    said += String(data);
  });
  const readAnew = (times: number) =>
    expect
      .poll(() => service.log.filter((line) => line.includes("were read anew")).length)
      .toBeGreaterThanOrEqual(times);
  return { service, kms, write, file, readAnew, said: () => said };
}

it("warns of what a new configuration brings, and once", async () => {
  const { service, write, readAnew } = await started([...declared("a"), mapped("t1", "a")]);
  const warned = () => service.log.filter((line) => line.includes("http://vault.invalid:8200 is not https"));
  write([...declared("a"), mapped("t1", "a"), ...inTheClear]);
  service.child.kill("SIGHUP");
  await readAnew(1);
  expect(warned()).toHaveLength(1);
  service.child.kill("SIGHUP");
  await readAnew(2);
  expect(warned()).toHaveLength(1);
});

it("goes on with the former configuration where the file is gone, and ends in good order amid signals", async () => {
  const { service, kms, write, file, said, readAnew } = await started([...declared("a"), mapped("t1", "a")]);
  const { keyId } = await kms.generateDataKey({ tenantId: "t1" });
  unlinkSync(file);
  service.child.kill("SIGHUP");
  await expect.poll(said).toContain("the former one holds");
  expect((await kms.generateDataKey({ tenantId: "t1" })).keyId).toBe(keyId);
  expect((await kms.status({ tenantId: "t1" })).tenantKeys).toHaveLength(1);

  write([...declared("b"), mapped("t1", "b")]);
  service.child.kill("SIGHUP");
  await readAnew(1);
  write([...declared("a"), mapped("t1", "a")]);
  for (let n = 0; n < 5; n += 1) service.child.kill("SIGHUP");
  service.child.kill("SIGTERM");
  service.child.kill("SIGHUP");
  expect((await service.ended).code).toBe(0);
});

it("reads a file that is changed without a signal, too, and says what is wrong in it", async () => {
  const { service, write, said, readAnew } = await started([...declared("a"), mapped("t1", "a")]);
  write([...declared("a"), "nonsense=1", mapped("t1", "a")]);
  await expect.poll(said).toContain("the former one holds");
  expect(said()).toContain("nonsense");
  write([...declared("a"), mapped("t1", "a"), mapped("t2", "a")]);
  await readAnew(1);
  expect(await service.end()).toBe(0);
});

it("takes provider keys of tenants that came after the start, too", async () => {
  const cwd = mkdtempSync(join(tmpdir(), "fluo-kms-reload-"));
  onTestFinished(() => rmSync(cwd, { recursive: true }));
  const service = await startProcess({ FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(cwd, "own.key") }, { cwd });
  const { client: kms } = service;
  writeFileSync(join(cwd, "application.properties"), [...declared("a"), mapped("t1", "a")].join("\n"));
  service.child.kill("SIGHUP");
  await service.said(/were read anew/);
  await kms.generateDataKey({ tenantId: "t1" });
  expect((await kms.status({ tenantId: "t1" })).tenantKeys).toHaveLength(1);
  service.child.kill("SIGTERM");
  expect(await service.ended).toEqual({ code: 0, err: "" });
});
