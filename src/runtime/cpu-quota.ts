/**
 * How many processors a control group may use at most, as a container's CPU limit sets it: `cpu.max` of version 2, `cpu.cfs_quota_us` of
 * version 1. A group has the least quota of its own and of those above it. See cgroups(7), and Documentation/admin-guide/cgroup-v2.rst.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Where controllers of version 1 are mounted, whatever their order in /proc/self/cgroup. */
const versionOne = ["cpu", "cpu,cpuacct", "cpuacct,cpu"];

/** Number of processors, which may be a fraction; undefined without a quota, and on systems other than Linux. `root` is for tests. */
export function cpuQuota(root = "/"): number | undefined {
  const groups = read(join(root, "proc/self/cgroup")) ?? "";
  const found = groups.split("\n").flatMap((line) => {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === "") return [];
    const mounts = controllers === "" ? [""] : controllers.split(",").includes("cpu") ? versionOne : [];
    return mounts.flatMap((mount) =>
      upwards(path).flatMap((group) => quotaOf(join(root, "sys/fs/cgroup", mount, group))),
    );
  });
  return found.length === 0 ? undefined : Math.min(...found);
}

/** A group and all above it. A container may see its own as the topmost, under whatever path. */
function upwards(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "" && name !== "..");
  return [...names.keys(), names.length].map((count) => names.slice(0, count).join("/"));
}

function quotaOf(folder: string): number[] {
  const [max = "", maxPeriod] = read(join(folder, "cpu.max"))?.split(" ") ?? [];
  const quotas = [
    [Number.parseInt(max, 10), Number(maxPeriod)], // `max` is no number
    [numberIn(folder, "cpu.cfs_quota_us"), numberIn(folder, "cpu.cfs_period_us")], // -1 without a quota
  ] as const;
  return quotas.filter(([quota, period]) => quota > 0 && period > 0).map(([quota, period]) => quota / period);
}

function numberIn(folder: string, file: string): number {
  return Number.parseInt(read(join(folder, file)) ?? "", 10);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}
