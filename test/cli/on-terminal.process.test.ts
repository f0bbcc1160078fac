/** The command line on a real pseudo-terminal, which `script` of util-linux makes: what people see, and what Ctrl-C leaves. */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { notRun } from "../../scripts/tools/not-run.ts";
import { directory } from "../support/config-fixture.ts";

const main = join(import.meta.dirname, "..", "..", "src", "main.js");
const hasScript = spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") === true;
if (
  !hasScript &&
  notRun("processes/on-terminal", "there is no script of util-linux, which makes a pseudo-terminal") > 0
)
  throw new Error("script of util-linux is required");

/** A command whose standard streams are one terminal. */
function onTerminal(args: string, env: object = {}) {
  const command = `stty cols 80 rows 24; exec '${process.execPath}' '${main}' ${args}`;
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    cwd: directory({}),
    env: { PATH: process.env.PATH, TERM: "xterm", SHELL: "/bin/sh", ...env },
    detached: true,
  });
  onTestFinished(() => {
    if (child.exitCode === null) process.kill(-child.pid!, "SIGKILL");
  });
  let screen = "";
  const { promise: ended, resolve } = Promise.withResolvers<number | null>();
  child.once("close", resolve);
  child.stdout.on("data", (piece) => {
    screen += piece;
  });
  return {
    ended,
    screen: () => screen.replaceAll("\r\n", "\n"),
    /** Resolves when the screen has it; rejects if the command ends without it. */
    async shows(pattern: RegExp): Promise<void> {
      while (!pattern.test(screen)) {
        const more = Promise.withResolvers<void>();
        child.stdout.once("data", () => more.resolve());
        const isOver = await Promise.race([more.promise.then(() => false), ended.then(() => true)]);
        if (isOver && !pattern.test(screen)) throw new Error(`the terminal does not show ${pattern}: ${screen}`);
      }
    },
    type: (text: string) => child.stdin.write(text),
  };
}

const service = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0", FLUO_KMS_STORE: "memory" };
const ctrlC = "\u0003";

describe.skipIf(!hasScript)("on a terminal", () => {
  it("serve says that it starts, where it serves, and what works there", async () => {
    const { shows, screen, type, ended } = onTerminal("serve", service);
    await shows(/npx fluo-kms status --address \S+\r\n/);
    const text = stripVTControlCharacters(screen());
    expect(text).toMatch(/^starting fluo-kms [\d.]+ …\n\d{4}-\d\d-\d\d \(UTC\)\n\d\d:\d\d:\d\d\.\d{3} WARN {2}/);
    expect(text).toMatch(/ INFO {2}serving {2}start_ms=\d+\n/);
    expect(text).not.toContain('{"level"');
    const [, url] = /^HTTP {2}(http:\/\/127\.0\.0\.1:\d+)$/m.exec(text)!;
    const [, command] = /Encrypt a value:\n([\s\S]*?)\n {2}Look at it:/.exec(text)!;
    expect(JSON.parse(spawnSync("sh", ["-c", command!], { encoding: "utf8" }).stdout)).toMatchObject({
      fields: [{ name: "email", token: expect.stringMatching(/^fk1\./) }],
    });
    expect((await fetch(`${url}/q/health/ready`)).status).toBe(200);
    type(ctrlC);
    expect(await ended).toBe(0);
    expect(stripVTControlCharacters(screen())).toMatch(/\^C\n\S+ INFO {2}draining\n[\s\S]* INFO {2}stopped\n$/);
  });

  it("Ctrl-C during a start ends it in order", async () => {
    const { shows, screen, type, ended } = onTerminal("serve", service);
    await shows(/starting /);
    await shows(/\(UTC\)/);
    type(ctrlC);
    expect(await ended).toBe(0);
    expect(stripVTControlCharacters(screen())).toMatch(/ INFO {2}stopped\n$/);
  });

  it.each([
    [{}, true],
    [{ NO_COLOR: "1" }, false],
    [{ TERM: "dumb" }, false],
  ])("a command has colours, with %j", async (env, isColoured) => {
    const { ended, screen } = onTerminal("preflight --address http://127.0.0.1:1", { ...service, ...env });
    expect(await ended).toBe(1);
    expect(screen().includes("\u001b[1m\u001b[31mFAIL")).toBe(isColoured);
    expect(screen()).toContain("FAIL");
  });
});
