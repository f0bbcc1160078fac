/** The process around the service: its flags, whose process id it keeps, and signals that must not end it or open it. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, renameSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { flags } from "../src/runtime/flags.js";
import { resultOf, run, start } from "./support/cli-fixture.ts";
import { directory } from "./support/config-fixture.ts";
import { onFreePorts } from "./support/free-ports.ts";
import { startProcess, watchProcess } from "./support/service-process.ts";

/** Preloaded into each process that Node becomes: who it is, and how it was started. */
const telling = preload(
  "process._rawDebug(JSON.stringify({ pid: process.pid, execArgv: process.execArgv, argv: process.argv.slice(2) }))",
);
/** As where a process cannot take another's place. */
const irreplaceable = preload("delete process.execve");

function preload(script: string): string {
  return `--import=data:text/javascript,${encodeURIComponent(script)}`;
}

function tellings(err: string): { pid: number; execArgv: string[]; argv: string[] }[] {
  return err
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
}

const nothingToRead =
  "fluo-kms: SIGHUP reads the policy, certificates and provider keys of tenants anew, and the configuration has none, so nothing changes\n";

it("runs under the flags, in the process that was started, with all that Node and it were given", async () => {
  const child = start(["--help", "serve"], { flags: ["--stack-trace-limit=7"], env: { NODE_OPTIONS: telling } });
  const { code, out, err } = await resultOf(child);
  expect({ code, usage: out.includes("Usage: fluo-kms serve") }).toEqual({ code: 0, usage: true });
  const argv = ["--help", "serve"];
  expect(tellings(err)).toEqual([
    { pid: child.pid, execArgv: ["--stack-trace-limit=7"], argv },
    { pid: child.pid, execArgv: [...flags, "--stack-trace-limit=7"], argv },
  ]);
});

it("starts once where the flags are there already, and adds what is missing before what was given", async () => {
  const [first, ...rest] = flags;
  const all = await run(["--version"], { flags, env: { NODE_OPTIONS: telling } });
  expect(tellings(all.err)).toHaveLength(1);
  const others = ["--max-semi-space-size=4", ...rest];
  const some = await run(["--version"], { flags: others, env: { NODE_OPTIONS: telling } });
  expect(tellings(some.err).map(({ execArgv }) => execArgv)).toEqual([others, [first, ...others]]);
});

it("runs in a child where a process cannot be replaced, ends as that does, and hands on what it is told", async () => {
  const env = { NODE_OPTIONS: `${irreplaceable} ${telling}` };
  const failed = await run(["no-such-command"], { env });
  expect(failed).toMatchObject({ code: 2, err: expect.stringContaining("unknown command no-such-command") });
  const [parent, child] = tellings(failed.err);
  expect(child!.pid).not.toBe(parent!.pid);
  expect(child!.execArgv).toEqual(flags);

  const service = await startProcess({ NODE_OPTIONS: irreplaceable });
  service.child.kill("SIGTERM");
  expect(await service.ended).toEqual({ code: 0, err: "" });
  expect(service.log.at(-1)).toContain('"stopped"');
});

it("is ended by SIGHUP and SIGUSR2 neither while it starts nor when it serves, and opens no debugger at SIGUSR1", async () => {
  const lines = "fluo.kms.grpc.port=0\nfluo.kms.http.port=0\n";
  const cwd = directory({ "whole.properties": lines });
  const pipe = join(cwd, "application.properties");
  execFileSync("mkfifo", [pipe]);
  const child = start([], { cwd });
  let said = "";
  const saidTwice = new Promise<void>((resolve) => {
    child.stderr!.on("data", (text) => {
      said += text;
      if (said === nothingToRead.repeat(2)) resolve();
    });
  });
  // Opened once the service has opened it as well, which then waits for its lines.
  const writing = await open(pipe, "w");
  for (const signal of ["SIGHUP", "SIGUSR2", "SIGUSR1"] as const) child.kill(signal);
  renameSync(join(cwd, "whole.properties"), pipe);
  await writing.writeFile(lines);
  await writing.close();
  const service = await watchProcess(child).serving;

  for (const signal of ["SIGUSR1", "SIGUSR2", "SIGHUP"] as const) child.kill(signal);
  await saidTwice;
  expect((await fetch(`${service.http}/q/health/ready`)).status).toBe(200);
  child.kill("SIGTERM");
  expect(await service.ended).toEqual({ code: 0, err: nothingToRead.repeat(2) });
});

it("looks for keys that are due once it serves, however soon that could be", async () => {
  const service = await startProcess({ NODE_OPTIONS: preload("Math.random = () => 0") });
  await service.said(/"due keys rotated"/);
  const said = service.log.map((line) => JSON.parse(line).msg as string);
  expect(said.indexOf("serving")).toBeGreaterThan(0);
  expect(said.indexOf("due keys rotated")).toBeGreaterThan(said.indexOf("serving"));
});

it.runIf(existsSync("/dev/full"))("goes on where its log cannot be written, and ends in order", async () => {
  const full = await open("/dev/full", "w");
  const { child, ended, url } = await onFreePorts(2, async (grpc, http) => {
    const env = { FLUO_KMS_GRPC_PORT: String(grpc), FLUO_KMS_HTTP_PORT: String(http) };
    const child = start([], { env, stdout: full.fd });
    const [ended, err] = [once(child, "close"), text(child.stderr!)];
    const url = `http://127.0.0.1:${http}`;
    while (!(await isReady(url))) {
      if (child.exitCode !== null) throw new Error(await err);
      await pause(20);
    }
    return { child, ended, url };
  });
  // Each of these failures is a line.
  for (let n = 0; n < 3; n += 1) {
    const answer = await fetch(`${url}/api/admin/kms/validate`, { method: "POST", body: "{" });
    expect(answer.status).toBe(400);
  }
  expect(await isReady(url)).toBe(true);
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
  await full.close();
});

function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/q/health/ready`).then(
    ({ ok }) => ok,
    () => false,
  );
}
