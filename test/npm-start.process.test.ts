/** `npm start` as an init system or a terminal runs it: what it is told, the service is told. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { watchProcess } from "./support/service-process.ts";

const root = join(import.meta.dirname, "..");

/** npm leads a process group, as a shell's job or a unit of systemd does. It says "serving" first. */
async function startByNpm(): Promise<{ npm: ChildProcess; log: readonly string[]; ended: Promise<unknown[]> }> {
  const home = mkdtempSync(join(tmpdir(), "fluo-kms-npm-"));
  const npm = spawn("npm", ["start", "--no-update-notifier"], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      HOME: home,
      FLUO_KMS_STORE: "memory",
      FLUO_KMS_GRPC_PORT: "0",
      FLUO_KMS_HTTP_PORT: "0",
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  // Not before the service has closed its end of the pipe as well.
  const ended = once(npm, "close");
  onTestFinished(() => {
    if (isThere(npm)) process.kill(-npm.pid!, "SIGKILL");
    rmSync(home, { recursive: true });
  });
  const { log, said } = await watchProcess(npm).serving;
  await said(/"serving"/);
  return { npm, log, ended };
}

/** Its group, of which the service is a member too. */
function isThere({ pid }: ChildProcess): boolean {
  try {
    return process.kill(-pid!, 0);
  } catch {
    return false;
  }
}

function endOf(log: readonly string[]): string[] {
  return log.slice(-3).map((line) => JSON.parse(line).msg);
}

it("SIGTERM to npm alone ends the service in order, and npm with it", async () => {
  const { npm, log, ended } = await startByNpm();
  npm.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
  expect(endOf(log)).toEqual(["draining", "health is down", "stopped"]);
  expect(isThere(npm)).toBe(false);
});

it.each(["SIGTERM", "SIGINT"] as const)(
  "%s to all processes, which npm hands on to one that has it already, does too",
  async (signal) => {
    const { npm, log, ended } = await startByNpm();
    process.kill(-npm.pid!, signal);
    expect(await ended).toEqual([0, null]);
    expect(endOf(log)).toEqual(["draining", "health is down", "stopped"]);
  },
);
