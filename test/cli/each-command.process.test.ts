/** Each command as a process: its exit code, all of its output through a pipe, and that it ends by itself. `serve` is in commands/. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, describe, expect, it } from "vitest";
import { startService } from "../support/running-service.ts";
import { runProcess, start, type StartOptions } from "../support/cli-fixture.ts";
import { liveIn, place } from "../support/cli-store-fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "fluo-kms-"));
const where = place(directory, { name: "sqlite", file: join(directory, "kms.db") });
await liveIn(where);
const socket = join(directory, "local", "kms.sock");
const service = await startService({ "fluo.kms.local-socket": socket });
afterAll(async () => {
  await service.stop();
  rmSync(directory, { recursive: true });
});

const span = { traceId: "07".repeat(16), spanId: "01".repeat(8), name: "pay" };
const files = {
  "spans.json": JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
  "policy.yaml": "version: 1\nrules:\n  - { name: all, who: anonymous, roles: [sign], tenants: [acme] }\n",
  "keys.json": '{"keys":[]}',
  "report.json": (await where.run("check", "--json")).out,
};
for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
expect(await where.run("backup", "kept.db")).toMatchObject({ code: 0 });

const env = { ...where.env, FLUO_KMS_ADDR: service.url, FLUO_KMS_GRPC_ADDR: `127.0.0.1:${service.grpcPort}` };
const beside = { ...env, FLUO_KMS_ADDR: `unix:${socket}` };
const elsewhere = { ...env, FLUO_KMS_SQLITE_FILE: join(directory, "restored.db") };
const cases: [args: string[], code: number, lastLine: RegExp, env?: object][] = [
  [["demo"], 0, /^All went as it must, in .* s\. Nothing is left behind\.$/],
  [["validate"], 0, /^ {2}For production switch to /],
  [["status"], 0, /^notice: Authentication is none: /],
  [["preflight"], 1, /^ {2}deletion-alarm +SKIPPED /],
  [["metrics"], 0, /^\w+(\{.*\})? [\d.e+-]+$/],
  [["status"], 0, /^notice: /, beside],
  [["validate"], 0, /^ {2}For production switch to /, beside],
  [["preflight"], 1, /^ {2}deletion-alarm +SKIPPED /, beside],
  [["metrics"], 0, /^\w+(\{.*\})? [\d.e+-]+$/, beside],
  [["log-level", "fatal"], 0, /^fatal, configured is silent$/, beside],
  [["cpu-profile", "--seconds", "1"], 0, /^\{"nodes":/, beside],
  [["whoami"], 2, /^fluo-kms --help tells more\.$/, beside],
  [["log-level"], 2, /^fluo-kms --help tells more\.$/],
  [["whoami"], 0, /^ {2}export FLUO_KMS_TOKEN_FILE=admin\.token$/],
  [["rotate", "--dry-run"], 0, /^0 would rotate, 0 skipped, 0 failed, 0 remaining$/],
  [["rewrap"], 0, /^remaining +none$/],
  [["sign", "--tenant", "acme", "--out", "signed.json", "spans.json"], 0, /^1 of 1 signed for acme$/],
  [["verify", "--keys", "keys.json", "spans.json"], 1, /^Not shown: that what a span says is true; /],
  [["backup", "b.db"], 0, /^ {2}logs +0 with 0 entries$/],
  [["restore", "kept.db"], 0, /^warning: Leases are reset; /, elsewhere],
  [["accept-rollback", "0".repeat(64)], 1, /^fluo-kms: there is nothing to accept: /],
  [["check"], 0, /^\}$/],
  [["note-check", "report.json"], 0, /^noted: the check of /],
  [["migrate"], 0, /^the upgrade is finished$/],
  [["audit", "verify"], 0, /^\d+ events, no problems$/],
  [["policy", "new", "--out", "new.yaml"], 0, /^fkt_/],
  [["policy", "check", "policy.yaml"], 1, /^policy\.yaml: 1 problem, 2 warnings$/],
  [["policy", "explain", "--as", "anonymous", "policy.yaml"], 1, /^fluo-kms: policy\.yaml:3: rule all: /],
  [["policy", "test", "policy.yaml", "policy.yaml"], 1, /^fluo-kms: policy\.yaml:3: rule all: /],
  [["policy", "diff", "policy.yaml", "policy.yaml"], 1, /^fluo-kms: policy\.yaml:3: rule all: /],
  [["token", "new"], 0, /^fkt_/],
];

it.each(cases)("%j exits with %i", async (args, code, lastLine, own = env) => {
  const result = await runProcess(args, { env: own, cwd: directory, finished: () => {} });
  const printed = result.out === "" ? result.err : result.out;
  expect({ code: result.code, last: printed.trimEnd().split("\n").at(-1) }).toEqual({
    code,
    last: expect.stringMatching(lastLine),
  });
});

describe("a command that cannot write what it prints", () => {
  const unwritten = "fluo-kms: standard output cannot be written (ENOSPC)\n";
  const readers: string[][] = [
    ...[["--help"], ["verify", "--help"], ["--version"], ["demo"], ["validate"], ["status"], ["status", "--json"]],
    ...[["preflight"], ["whoami"], ["rotate", "--dry-run"], ["rewrap"], ["audit", "verify"], ["check"]],
    ...[
      ["policy", "check", "policy.yaml"],
      ["token", "new"],
    ],
    ["verify", "--keys", "keys.json", "spans.json"],
    ["verify", "--json", "--keys", "keys.json", "spans.json"],
  ];

  const begin = (args: string[], options: StartOptions = {}) =>
    start(args, { env, cwd: directory, finished: () => {}, ...options });
  const endOf = async (child: ChildProcess) => {
    const [[code], err] = await Promise.all([once(child, "close"), text(child.stderr!)]);
    return { code, err };
  };

  it.skipIf(!existsSync("/dev/full")).each(readers.map((args) => ({ args })))("fails: $args", async ({ args }) => {
    const stdout = openSync("/dev/full", "w");
    const { code, err } = await endOf(begin(args, { stdout }));
    closeSync(stdout);
    expect(code).toBe(1);
    expect(err.endsWith(unwritten)).toBe(true);
  });

  it.skipIf(!existsSync("/dev/full"))("says why it failed if that cannot be printed as JSON", async () => {
    const stdout = openSync("/dev/full", "w");
    const { code, err } = await endOf(begin(["policy", "diff", "--json", "policy.yaml", "policy.yaml"], { stdout }));
    closeSync(stdout);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("fluo-kms: policy.yaml:3: rule all: ") });
  });

  it.each([
    { args: ["--help"], code: 0 },
    { args: ["status", "--json"], code: 0 },
    { args: ["verify", "--keys", "keys.json", "spans.json"], code: 1 },
  ])("says nothing of a reader that left: $args", async ({ args, code }) => {
    const child = begin(args);
    child.stdout!.destroy();
    expect(await endOf(child)).toEqual({ code, err: "" });
  });
});
