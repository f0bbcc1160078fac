/** CPU quotas in files as Linux has them, and that of a control group of the test's own. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { standardThreads } from "../../src/batch/pool/threads.ts";
import { cpuQuota } from "../../src/runtime/cpu-quota.ts";

/** `files` below /sys/fs/cgroup. */
function machine(groups: string, files: Record<string, string> = {}): string {
  const root = mkdtempSync(join(tmpdir(), "fluo-kms-cgroup-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  };
  write("proc/self/cgroup", groups);
  for (const [path, text] of Object.entries(files)) write(`sys/fs/cgroup/${path}`, text);
  return root;
}

describe("the CPU quota", () => {
  it.each([
    ["a container of version 2", "0::/", { "cpu.max": "150000 100000" }, 1.5],
    ["a container of version 2 without a limit", "0::/", { "cpu.max": "max 100000" }, undefined],
    [
      "a unit of systemd below a slice with less",
      "0::/system.slice/fluo-kms.service",
      { "system.slice/fluo-kms.service/cpu.max": "400000 100000", "system.slice/cpu.max": "200000 100000" },
      2,
    ],
    [
      "a container of version 1, which sees its own group at the top",
      "4:cpu,cpuacct:/docker/0123\n1:name=systemd:/docker/0123",
      { "cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000" },
      0.5,
    ],
    [
      "version 1 without a limit, beside version 2",
      "1:cpu:/\n0::/",
      { "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000" },
      undefined,
    ],
    [
      "a group of version 1 that is mounted under its path",
      "3:cpuacct,cpu:/kms\n0::/",
      { "cpuacct,cpu/kms/cpu.cfs_quota_us": "300000", "cpuacct,cpu/kms/cpu.cfs_period_us": "100000" },
      3,
    ],
    ["a group of another controller", "2:memory:/\n", { "cpu.cfs_quota_us": "1", "cpu.cfs_period_us": "1" }, undefined],
  ])("is that of %s", (_which, groups, files, quota) => {
    expect(cpuQuota(machine(groups, files as Record<string, string>))).toBe(quota);
  });

  it("is none where there are no control groups", () => {
    expect(cpuQuota(join(tmpdir(), "nothing-here"))).toBeUndefined();
  });

  it.skipIf(!canMakeGroups())("is that of a real control group", () => {
    const group = `/sys/fs/cgroup/cpu/fluo-kms-test-${process.pid}`;
    mkdirSync(group);
    onTestFinished(() => rmdirSync(group));
    writeFileSync(join(group, "cpu.cfs_quota_us"), "150000");
    const file = join(import.meta.dirname, "..", "..", "src", "runtime", "cpu-quota.ts");
    const script = `import(${JSON.stringify(file)}).then(({ cpuQuota }) => console.log(cpuQuota()))`;
    const inGroup = ["-c", `echo $$ > ${group}/cgroup.procs; exec "$@"`, "sh", process.execPath, "-e", script];
    const { stdout, stderr } = spawnSync("/bin/sh", inGroup, { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(stdout).toBe("1.5\n");
  });
});

describe("the threads of the pool", () => {
  it.each([
    [16, undefined, 8],
    [4, undefined, 4],
    [4, 1.5, 2],
    [4, 0.1, 1],
    [1, 8, 1],
    [32, 64, 8],
  ])("for %i processors and a quota of %s are %i", (parallelism, quota, threads) => {
    // An explicit undefined would be the quota of this machine.
    expect(standardThreads(parallelism, quota ?? Number.POSITIVE_INFINITY)).toBe(threads);
  });
});

/** Those of version 1, as root. */
function canMakeGroups(): boolean {
  try {
    accessSync("/sys/fs/cgroup/cpu/cgroup.procs", constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
