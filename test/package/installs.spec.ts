/**
 * The package as its users install it, by each installer and under each Node that may find it: what comes along runs it. Nothing is published,
 * so the tarball stands for the registry's.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect, inject, it } from "vitest";
import { verifierPageSha256 } from "../../gen/ts/verifier_page.ts";
import { tools } from "../../scripts/tools/cache.ts";
import packageJson from "../../package.json" with { type: "json" };

const tarball = inject("tarball");
const printedVersion = `${packageJson.version}\nfluo-verify.html sha256 ${verifierPageSha256}\n`;
const packages = join(tools, "package", "node_modules");
const given = (process.env.PATH ?? "")
  .split(delimiter)
  .filter((folder) => !folder.endsWith(join("node_modules", ".bin")));

/** A search path on which there is that Node, and npm and pnpm that run under it. */
function searchPath(node: string): string {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-bin-"));
  const npm = realpathSync(
    execFileSync("which", ["npm"], { encoding: "utf8", env: { PATH: given.join(delimiter) } }).trim(),
  );
  symlinkSync(node, join(folder, "node"));
  symlinkSync(npm, join(folder, "npm"));
  symlinkSync(join(packages, "pnpm", "bin", "pnpm.cjs"), join(folder, "pnpm"));
  return [folder, ...given].join(delimiter);
}

const nodes: Record<string, string> = {
  ...Object.fromEntries(
    globSync(join(packages, `node-*-${process.arch}/bin/node`)).map((file) => [/node-(\d+)-/.exec(file)![1]!, file]),
  ),
  26: process.execPath,
};

/** Each installs the tarball below a folder, and returns the command's path. */
const installers: Record<string, (folder: string, run: (...command: string[]) => void) => string> = {
  npm(folder, run) {
    run("npm", "install", "--no-audit", "--no-fund", "--loglevel=error", tarball);
    return join(folder, "node_modules", ".bin", "fluo-kms");
  },
  "npm --ignore-scripts"(folder, run) {
    run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", tarball);
    return join(folder, "node_modules", ".bin", "fluo-kms");
  },
  "npm --global"(folder, run) {
    run("npm", "install", "--global", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel=error", tarball);
    return join(folder, "bin", "fluo-kms");
  },
  pnpm(folder, run) {
    run("pnpm", "add", "--store-dir", join(packages, "..", "pnpm-store"), tarball);
    return join(folder, "node_modules", ".bin", "fluo-kms");
  },
};

it("there is a Node of each kind", () => {
  expect(Object.keys(nodes)).toEqual(["20", "22", "24", "26"]);
});

const cases = Object.keys(nodes).flatMap((node) =>
  Object.keys(installers).map((installer) => [node, installer] as const),
);

it.each(cases)("under Node %s, installed by %s, it shows what it is for, and serves", async (node, installer) => {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-installed-"));
  writeFileSync(join(folder, "package.json"), "{}");
  const path = { PATH: searchPath(nodes[node]!) };
  const command = installers[installer]!(folder, (name, ...args) => {
    execFileSync(name, args, { cwd: folder, env: { ...process.env, ...path }, stdio: ["ignore", "ignore", "inherit"] });
  });
  // From somewhere else, with no home, as a service is run.
  const elsewhere = { cwd: mkdtempSync(join(tmpdir(), "fluo-kms-elsewhere-")), env: path };
  expect(execFileSync(command, ["--version"], { ...elsewhere, encoding: "utf8" })).toBe(printedVersion);
  expect(execFileSync(command, ["demo"], { ...elsewhere, encoding: "utf8" })).toContain("All went as it must");

  const env = { ...path, FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
  const service = spawn(command, { ...elsewhere, env, stdio: ["ignore", "pipe", "inherit"] });
  const said: string[] = [];
  for await (const chunk of service.stdout) {
    said.push(String(chunk));
    if (!service.killed && said.join("").includes('"serving"')) service.kill("SIGTERM");
  }
  if (service.exitCode === null) await once(service, "exit");
  expect([service.exitCode, said.join("").trimEnd().endsWith('"msg":"stopped"}')]).toEqual([0, true]);
});

it("where no Node came along it goes on under one that is new enough, and else says which it needs", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-installed-"));
  writeFileSync(join(folder, "package.json"), "{}");
  const install = ["install", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error", tarball];
  execFileSync("npm", install, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  const version = (node: string) =>
    spawnSync(node, [join(folder, "node_modules/fluo-kms/src/main.js"), "--version"], { encoding: "utf8" });
  expect(version(process.execPath)).toMatchObject({ status: 0, stdout: printedVersion, stderr: "" });
  for (const node of ["20", "22", "24"]) {
    const { status, stdout, stderr } = version(nodes[node]!);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(
      /^fluo-kms: needs Node 26\.10\.0 or later, and this is Node 2\d\.\d+\.\d+\. .*npm ci --include=optional/s,
    );
  }
});
