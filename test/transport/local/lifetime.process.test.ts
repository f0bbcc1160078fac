/** The local socket over the life of a process: who else gets in, what a kill leaves, and an end in the middle of a profile. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { askLocal } from "../../support/local-socket.ts";
import { beginProcess, type ServiceProcess, startProcess } from "../../support/service-process.ts";

function place() {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const directory = join(folder, "local");
  const path = join(directory, "kms.sock");
  return { folder, directory, path, env: { FLUO_KMS_STORE: "memory", FLUO_KMS_LOCAL_SOCKET: path } };
}

/** The socket is opened last, after both ports. */
async function startBeside(env: Record<string, string>): Promise<ServiceProcess> {
  const service = await startProcess(env);
  await service.said(/on unix:/);
  return service;
}

const statusPath = ["GET", "/api/admin/kms/status"] as const;

it.skipIf(process.getuid?.() !== 0)("lets no other user of the machine in", async () => {
  const { folder, path, env } = place();
  spawnSync("chmod", ["755", folder]);
  await startBeside(env);
  const script = `require("net").connect(${JSON.stringify(path)}).on("connect", () => console.log("in")).on("error", ({ code }) => console.log(code))`;
  const id = 65_534;
  const { stdout } = spawnSync(
    "setpriv",
    [`--reuid=${id}`, `--regid=${id}`, "--clear-groups", "/usr/bin/env", "node", "-e", script],
    {
      encoding: "utf8",
      cwd: "/",
      env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
    },
  );
  expect(stdout).toBe("EACCES\n");
  expect((await askLocal(path, statusPath)).status).toBe(200);
});

it("takes the place of a killed process, and no living one's", async () => {
  const { directory, path, env } = place();
  const first = await startBeside(env);
  await first.end("SIGKILL");
  expect(lstatSync(path).isSocket()).toBe(true);
  const second = await startBeside(env);
  expect((await askLocal(path, statusPath)).status).toBe(200);
  const third = await beginProcess(env, {}).ended;
  expect(third).toMatchObject({ code: 1, err: expect.stringContaining("another process listens there; stop it") });
  expect((await askLocal(path, statusPath)).status).toBe(200);
  expect(await second.end()).toBe(0);
  expect(readdirSync(directory)).toEqual([]);
});

it("starts in no directory that is a link", async () => {
  const { folder, directory, env } = place();
  mkdirSync(join(folder, "real"), { mode: 0o700 });
  symlinkSync("real", directory);
  const { code, err } = await beginProcess(env, {}).ended;
  expect({ code, err }).toEqual({
    code: 1,
    err: `fluo-kms: did not start: fluo.kms.local-socket=${directory}/kms.sock: its directory ${directory} is a link or no directory; name a directory of its own\n`,
  });
});

it("frees the places of callers who say nothing, are refused, and do not close", async () => {
  const { path, env } = place();
  await startBeside(env);
  const opened = Array.from({ length: 32 }, () => connect({ path, allowHalfOpen: true }).resume());
  await Promise.all(opened.map((socket) => once(socket, "end")));
  await eventually(async () => expect(await askLocal(path, statusPath)).toMatchObject({ status: 200 }));
  for (const socket of opened) socket.destroy();
});

it("answers while the service is not ready any more, and ends a profile early", async () => {
  const { directory, path, env } = place();
  const service = await startBeside({ ...env, FLUO_KMS_SHUTDOWN_DELAY: "2s" });
  const profile = askLocal(path, ["POST", "/api/admin/kms/cpu-profile?seconds=60"]);
  await service.said(/profile_cpu/);
  service.child.kill("SIGTERM");
  await service.said(/not ready any more/);
  expect(JSON.parse((await askLocal(path, statusPath)).text)).toMatchObject({ status: "down" });
  expect(JSON.parse((await profile).text)).toHaveProperty("samples");
  expect(await service.ended).toMatchObject({ code: 0 });
  expect(readdirSync(directory)).toEqual([]);
});
