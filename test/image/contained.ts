/** Programs of the image, run as in a container: read-only, without root, as the first process. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { text } from "node:stream/consumers";
import { inject, onTestFinished } from "vitest";
import { entrypoint } from "../../scripts/image/recipe.ts";
import { type Sandbox, sandboxed } from "../../scripts/image/sandbox.ts";
import { type ServiceProcess, watchProcess } from "../support/service-process.ts";

export interface Contained extends ServiceProcess {
  /** The service's, as this machine counts. */
  pid: number;
}

const anyPorts = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };

/** Resolves when the service serves. It ends with the test at the latest. */
export async function startContained(
  env: Record<string, string> = {},
  more: Pick<Sandbox, "mounts"> = {},
): Promise<Contained> {
  const { child, pid } = await begin({ command: entrypoint, env: { ...anyPorts, ...env }, ...more });
  const service = await watchProcess(child).serving;
  await service.said(/"serving"/);
  const end = async (signal: NodeJS.Signals = "SIGTERM") => {
    process.kill(pid, signal);
    return (await service.ended).code;
  };
  return { ...service, pid, end };
}

/** Starts a program and returns its process id on this machine, once there is one. */
export async function begin(sandbox: Omit<Sandbox, "rootfs">): Promise<{ child: ChildProcess; pid: number }> {
  const [name, ...args] = asFirst(sandbox);
  const child = spawn(name!, args, { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const { "child-pid": pid } = JSON.parse(await text(child.stdio[3] as NodeJS.ReadableStream & AsyncIterable<Buffer>));
  return { child, pid };
}

/** Runs a program to its end. */
export function runContained(
  command: readonly string[],
  more: Pick<Sandbox, "mounts" | "env"> = {},
): { status: number | null; stdout: string; stderr: string } {
  const [name, ...args] = sandboxed({ rootfs: inject("image").rootfs, command, ...more });
  return spawnSync(name!, args, { encoding: "utf8", timeout: 60_000 });
}

/** Tells its process id at file descriptor 3. */
function asFirst(sandbox: Omit<Sandbox, "rootfs">): string[] {
  const line = sandboxed({ ...sandbox, rootfs: inject("image").rootfs });
  const at = line.indexOf("bwrap") + 1;
  return [...line.slice(0, at), "--as-pid-1", "--info-fd", "3", ...line.slice(at)];
}
