/** The image as an OCI runtime starts it: read-only, no capabilities, no new privileges, and calls to the kernel refused by a list. */
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, it, onTestFinished } from "vitest";
import { entrypoint, nonroot, stateDirectory } from "../../scripts/image/recipe.ts";
import { pkiFiles } from "../support/pki-files.ts";
import { watchProcess } from "../support/service-process.ts";
import { hardened } from "./oci.ts";
import { wordsIn } from "../support/words.ts";

const { bundle, rootfs } = inject("image");

/** Calls that no service needs and that attacks on kernels begin with. Anything else is allowed, so that a new Node still runs. */
const refused = wordsIn(`
  add_key bpf delete_module finit_module fsconfig fsmount fsopen init_module io_uring_setup kexec_load keyctl
  mount open_by_handle_at perf_event_open pivot_root process_vm_readv process_vm_writev ptrace reboot request_key
  setns swapoff swapon umount2 unshare userfaultfd
`);

const seccomp = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: refused, action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
};

it("serves, passes Validate and ends in order under runc", async () => {
  const { id, service } = await startByRunc();
  const { pid } = JSON.parse(spawnSync("runc", ["state", id], { encoding: "utf8" }).stdout);
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  expect(status).toMatch(/^Seccomp:\t2$/m);
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  expect(status).toMatch(/^CapEff:\t0+$/m);
  expect(status).toMatch(new RegExp(`^Uid:\\t${nonroot}\\t`, "m"));
  const validate = ["exec", id, ...entrypoint, "validate", "--address", service.http];
  const { status: code, stdout } = spawnSync("runc", validate, { encoding: "utf8" });
  expect(stdout).toContain("PASS");
  expect(code).toBe(0);
  spawnSync("runc", ["kill", id, "TERM"]);
  expect(await service.ended).toMatchObject({ code: 0 });
});

it("serves under a user that the cluster chose and that no file names, with files that its group alone may read", async () => {
  // As OpenShift starts it: any user, the group of root, and the volumes' group beside.
  const [user, group] = [1_000_650_000, 1_000_650_000];
  const volume = (mode: number) => {
    const folder = mkdtempSync(join(tmpdir(), "fluo-kms-volume-"));
    chownSync(folder, 0, group);
    chmodSync(folder, mode);
    return folder;
  };
  const [state, tls] = [volume(0o2777), volume(0o2755)];
  const { server } = pkiFiles();
  for (const [name, from] of [
    ["tls.crt", server.certificate],
    ["tls.key", server.key],
  ] as const) {
    copyFileSync(from, join(tls, name));
    chownSync(join(tls, name), 0, group);
    chmodSync(join(tls, name), 0o440);
  }
  const bind = (source: string, destination: string, ...options: string[]) => ({
    destination,
    type: "bind",
    source,
    options: ["bind", ...options],
  });
  const { id, service } = await startByRunc({
    owner: `uid=${nonroot},gid=${nonroot}`,
    user: { uid: user, gid: 0, additionalGids: [group] },
    mounts: [bind(state, stateDirectory, "rw"), bind(tls, "/etc/fluo-kms/tls", "ro")],
    env: {
      FLUO_KMS_TLS_CERTIFICATE: "/etc/fluo-kms/tls/tls.crt",
      FLUO_KMS_TLS_KEY: "/etc/fluo-kms/tls/tls.key",
      FLUO_KMS_FILES_GROUP_READABLE: "true",
      FLUO_KMS_SQLITE_FILE: `${stateDirectory}/state/fluo-kms.db`,
      FLUO_KMS_LOCAL_MASTER_KEY_FILE: `${stateDirectory}/master.key`,
    },
  });
  const { pid } = JSON.parse(spawnSync("runc", ["state", id], { encoding: "utf8" }).stdout);
  expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(new RegExp(`^Uid:\\t${user}\\t`, "m"));
  expect(service.http).toMatch(/^https:/);
  spawnSync("runc", ["kill", id, "TERM"]);
  expect(await service.ended).toMatchObject({ code: 0 });
});

it("does not start where the state directory is somebody else's, and says which", async () => {
  const { ended, log } = await beginByRunc({ owner: "uid=0,gid=0" });
  const { code, err } = await ended;
  expect(code).not.toBe(0);
  expect(err + log.join("\n")).toMatch(/application\.properties: cannot be read \(EACCES\)/);
});

interface Started {
  /** Options of the state directory's mount. */
  owner: string;
  /** The image's own if there is none. */
  user?: object;
  mounts?: readonly object[];
  env?: Readonly<Record<string, string>>;
}

async function startByRunc(as: Started = { owner: `uid=${nonroot},gid=${nonroot}` }) {
  const { id, serving } = await beginByRunc(as);
  const service = await serving;
  await service.said(/"serving"/);
  return { id, service };
}

async function beginByRunc({ owner, user, mounts = [], env: more }: Started) {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-runc-"));
  const id = folder.split("/").at(-1)!;
  const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
  const env = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0", ...more };
  if (user !== undefined) config.process.user = user;
  const changed = hardened(config, { rootfs, env, seccomp, owner, id, stateDirectory, mounts });
  writeFileSync(join(folder, "config.json"), JSON.stringify(changed));
  const child = spawn("runc", ["run", "--bundle", folder, id], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void spawnSync("runc", ["delete", "--force", id]));
  const started = watchProcess(child);
  started.serving.catch(() => {});
  return { id, ...started };
}
