/**
 * The unit's filter of system calls on the real service, by the seccomp of an OCI runtime: no systemd runs here as the first process. The root of
 * its container is that of this machine, read-only.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { flags } from "../../src/runtime/flags.js";
import { hardened } from "../image/oci.ts";
import { watchProcess } from "../support/service-process.ts";
import { allowedCalls, root, setting } from "./unit.ts";

const nobody = 65532;
const stateDirectory = "/var/lib/fluo-kms";
const node = join(root, "node_modules", `node-linux-${process.arch}`, "bin", "node");
const serve = [...flags, "--use-system-ca", join(root, "src", "main.js")];

it("lets the service serve, pass Validate and end in order", async () => {
  const { id, serving } = begin(allowedCalls(), [node, ...serve]);
  const service = await serving;
  await service.said(/"serving"/);
  const { pid } = JSON.parse(spawnSync("runc", ["state", id], { encoding: "utf8" }).stdout);
  expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(/^Seccomp:\t2$/m);
  const validate = ["exec", id, node, ...serve, "validate", "--address", service.http];
  const { status, stdout } = spawnSync("runc", validate, { encoding: "utf8" });
  expect(stdout).toContain("PASS");
  expect(status).toBe(0);
  spawnSync("runc", ["kill", id, "TERM"]);
  expect(await service.ended).toEqual({ code: 0, err: "" });
});

it("refuses what the unit refuses, with its error", async () => {
  expect(setting("SystemCallErrorNumber")).toBe("EPERM");
  const script = "try { os.setPriority(0, 5); console.log('set') } catch (error) { console.log(error.info.code) }";
  const { log, ended } = begin(allowedCalls(), [node, "-e", script]);
  await ended;
  expect(log).toEqual(["EPERM"]);
});

it("would stop a service that needs a call that is not in the list", async () => {
  const { ended } = begin(
    allowedCalls().filter((call) => call !== "listen"),
    [node, ...serve],
  );
  expect((await ended).code).not.toBe(0);
});

function begin(calls: readonly string[], args: readonly string[]) {
  expect(calls.length).toBeGreaterThan(100);
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-unit-"));
  const id = folder.split("/").at(-1)!;
  const rootfs = join(folder, "rootfs");
  const mounts = ["/usr", "/etc", root].map((source) => bind(rootfs, source));
  for (const name of ["proc", "dev", "tmp", stateDirectory]) mkdirSync(join(rootfs, name), { recursive: true });
  for (const name of ["lib", "lib64", "bin"]) copyLink(rootfs, name);
  const seccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    syscalls: [{ names: [...calls], action: "SCMP_ACT_ALLOW" }],
  };
  const env = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
  const bare = { ociVersion: "1.0.0", process: { args, cwd: stateDirectory, user: { uid: nobody, gid: nobody } } };
  const owner = `uid=${nobody},gid=${nobody}`;
  const config = hardened(bare, { rootfs, env, seccomp, owner, id, stateDirectory, mounts });
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const child = spawn("runc", ["run", "--bundle", folder, id], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void spawnSync("runc", ["delete", "--force", id]));
  const started = watchProcess(child);
  started.serving.catch(() => {});
  return { id, ...started };
}

function bind(rootfs: string, source: string): object {
  mkdirSync(join(rootfs, source), { recursive: true });
  return { destination: source, type: "bind", source, options: ["rbind", "ro", "nosuid", "nodev"] };
}

function copyLink(rootfs: string, name: string): void {
  if (existsSync(`/${name}`) && lstatSync(`/${name}`).isSymbolicLink())
    symlinkSync(readlinkSync(`/${name}`), join(rootfs, name));
}
