/** A service without settings for its keys, as a process: what it keeps in its data directory, and which starts it refuses. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { StepName } from "../src/failpoints.ts";
import { fileNames } from "../src/store/directory/layout.ts";
import { smallDisk, whyNoSmallDisk } from "./faults/small-disk.ts";
import { plainSpan } from "./support/api-fixture.ts";
import { run } from "./support/cli-fixture.ts";
import { directory, production } from "./support/config-fixture.ts";
import { recordedFolder } from "./support/power-cut/recorded-folder.ts";
import { whyNotPreloaded } from "./support/preloaded-library.ts";
import type { GrpcClient } from "./support/running-service.ts";
import { beginProcess, type ProcessOptions, startProcess } from "./support/service-process.ts";

const tenantId = "acme";
const fields = [{ name: "email", value: Buffer.from("ann@example.com") }];

/** What a service gives, for another to open: a token and a signed span. */
async function useKeys(client: GrpcClient) {
  const { fields: tokens } = await client.encryptPii({ tenantId, fields });
  const { attributes } = await client.signSpan({ tenantId, span: plainSpan });
  return { tokens, attributes };
}

async function openKept(client: GrpcClient, { tokens, attributes }: Awaited<ReturnType<typeof useKeys>>) {
  const [opened] = (await client.decryptPii({ tenantId, fields: tokens })).fields;
  expect(opened!.result).toEqual({ case: "value", value: fields[0]!.value });
  expect(await client.verifySpan({ tenantId, span: { ...plainSpan, attributes } })).toMatchObject({ verified: true });
  expect(await client.admin.verifyAudit({})).toMatchObject({ ok: true });
}

/** What a start says that does not serve. */
async function refusal(cwd: string, env: Record<string, string> = {}, options: ProcessOptions = {}): Promise<string> {
  const { ended, serving } = beginProcess(env, { cwd, ...options });
  serving.catch(() => {});
  const { code, err } = await ended;
  expect(code).toBe(1);
  return err;
}

describe("a service without any setting", () => {
  it.each(["SIGTERM", "SIGKILL"] as const)("opens its tokens and verifies its signatures after %s", async (signal) => {
    const cwd = directory();
    const path = join(cwd, "fluo-kms-data");
    const first = await startProcess({}, { cwd });
    expect(JSON.parse(await first.said(/keys are kept/)).msg).toBe(
      `keys are kept in ${path}, from this first start on`,
    );
    expect(readdirSync(cwd)).toEqual(["fluo-kms-data"]);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(first.log.join("\n")).not.toContain("is new, and has no key yet");
    const kept = await useKeys(first.client);
    const { noticeDetails } = await first.client.status({});
    expect(noticeDetails.map(({ code }) => code)).toContain("KEY_BESIDE_STORE");
    await first.end(signal);

    const second = await startProcess({}, { cwd });
    expect(JSON.parse(await second.said(/keys are kept/)).msg).toBe(`keys are kept in ${path}`);
    await openKept(second.client, kept);
    expect(await second.end()).toBe(0);
    expect(existsSync(join(path, fileNames.holder))).toBe(false);
  });

  it("is kept out of Git", async () => {
    const cwd = directory();
    expect(spawnSync("git", ["init", "--quiet"], { cwd }).status).toBe(0);
    await (await startProcess({}, { cwd })).end();
    expect(spawnSync("git", ["status", "--porcelain", "--ignored"], { cwd, encoding: "utf8" }).stdout).toBe(
      "!! fluo-kms-data/\n",
    );
  });

  it("keeps commands at its keys, while it runs and after, in its working directory alone", async () => {
    const cwd = directory();
    const service = await startProcess({}, { cwd });
    const kept = await useKeys(service.client);
    expect(await run(["backup", "backup.db"], { cwd })).toMatchObject({ code: 0 });
    expect(await run(["check"], { cwd })).toMatchObject({ code: 0 });
    await service.end();
    expect(await run(["check"], { cwd })).toMatchObject({ code: 0 });
    const path = join(cwd, "fluo-kms-data");
    for (const name of readdirSync(path).filter((each) => each.startsWith("kms.db"))) rmSync(join(path, name));
    expect(await run(["restore", "backup.db"], { cwd })).toMatchObject({ code: 0 });
    await openKept((await startProcess({}, { cwd })).client, kept);
  });
});

it("no command makes a data directory", async () => {
  const cwd = directory({ "backup.db": "" });
  const digest = "0".repeat(64);
  for (const args of [
    ["check"],
    ["backup", "b.db"],
    ["restore", "backup.db"],
    ["migrate"],
    ["accept-rollback", digest],
  ]) {
    expect(await run(args, { cwd })).toMatchObject({
      code: 1,
      err: `fluo-kms: there is no data directory at ${join(cwd, "fluo-kms-data")}: run this where the service was started, or set fluo.kms.data-directory, or what the service has set for its store\n`,
    });
  }
  expect(await run(["preflight"], { cwd })).toMatchObject({ code: 1, out: expect.stringMatching(/^overall/) });
  expect(readdirSync(cwd)).toEqual(["backup.db"]);
});

describe("a start is refused in one sentence", () => {
  it("while another process serves from the directory, which is named", async () => {
    const cwd = directory();
    const { child, end } = await startProcess({}, { cwd });
    const path = join(cwd, "fluo-kms-data");
    const sentence = `fluo-kms: did not start: process ${child.pid} serves from ${path}: stop it, or set fluo.kms.data-directory to another directory for this one\n`;
    expect(await refusal(cwd)).toBe(sentence);
    await end("SIGKILL");
    await startProcess({}, { cwd });
  });

  it("of two that begin at the same time, and the other one serves", async () => {
    const cwd = directory();
    const both = [beginProcess({}, { cwd }), beginProcess({}, { cwd })];
    const [first, second] = await Promise.all(
      both.map(({ serving, ended }) =>
        serving.then(
          () => "serves",
          async () => (await ended).err,
        ),
      ),
    );
    const [served, refused] = first === "serves" ? [first, second!] : [second!, first!];
    expect(served).toBe("serves");
    expect(refused).toMatch(
      /^fluo-kms: did not start: (process \d+|another process) serves from \S+fluo-kms-data: [^\n]+\n$/,
    );
  });

  it("in a directory that is not ours, which stays as it is", async () => {
    const cwd = directory();
    const path = join(cwd, "letters");
    spawnSync("mkdir", [path]);
    writeFileSync(join(path, "letter.txt"), "Dear Ann");
    expect(await refusal(cwd, { FLUO_KMS_DATA_DIRECTORY: "letters" })).toBe(
      `fluo-kms: did not start: ${path} is not a data directory of fluo-kms: it has no .fluo-kms-data: move it away, or set fluo.kms.data-directory to a directory for this service alone\n`,
    );
    expect(readdirSync(path)).toEqual(["letter.txt"]);
  });

  it.each([
    [
      "kms.db",
      /kms\.db is missing, which has the keys of \S+fluo-kms-data: put it back, or a backup by fluo-kms restore; /,
    ],
    ["master.key", /master\.key is missing, which opens the keys in \S+kms\.db: put it back; /],
  ])("without %s, and no other is made in its place", async (name, sentence) => {
    const cwd = directory();
    const file = join(cwd, "fluo-kms-data", name);
    await (await startProcess({}, { cwd })).end();
    const kept = readFileSync(file);
    rmSync(file);
    expect(await refusal(cwd)).toMatch(sentence);
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, kept, { mode: 0o600 });
    expect(await (await startProcess({}, { cwd })).end()).toBe(0);
  });

  it("in profile prod, which makes nothing", async () => {
    const cwd = directory({ "policy.yaml": "version: 1\nrules: []\n" });
    const { FLUO_KMS_PROVIDER: _, AWS_KMS_MASTER_KEY_ID: __, ...env } = production;
    const { code, err } = await run([], { cwd, env });
    expect(code).toBe(2);
    expect(err).toMatch(/^fluo\.kms\.provider: local is for development; /m);
    expect(readdirSync(cwd)).toEqual(["policy.yaml"]);
  });
});

const noDisk = await whyNoSmallDisk();
describe.skipIf(noDisk !== undefined && !process.env.CI)("on a disk of its own", () => {
  async function onDisk() {
    const disk = await smallDisk(4 * 2 ** 20);
    onTestFinished(disk.unmount);
    const options = { enter: disk.enter };
    const env = { FLUO_KMS_DATA_DIRECTORY: join(disk.dir, "data") };
    return { disk, env, options, cwd: directory() };
  }
  const instead =
    /: set fluo\.kms\.data-directory to a volume that the service may write to, or fluo\.kms\.store=memory for keys that end with the process\n$/;

  it("that is read-only names what can be set instead, before the first start and after", async () => {
    const { disk, env, options, cwd } = await onDisk();
    await disk.remountReadOnly();
    expect(await refusal(cwd, env, options)).toMatch(instead);
    await disk.remountReadWrite();
    await (await startProcess(env, { cwd, ...options })).end();
    await disk.remountReadOnly();
    expect(await refusal(cwd, env, options)).toMatch(instead);
  });

  it("that is full says so, and serves once there is room", async () => {
    const { disk, env, options, cwd } = await onDisk();
    disk.fill();
    expect(await refusal(cwd, env, options)).toMatch(/ENOSPC.*make room on its disk\n$/);
    disk.free();
    expect(await (await startProcess(env, { cwd, ...options })).end()).toBe(0);
  });
});

/** In the order of a first start. The master key is made before the last. */
const steps: readonly StepName[] = [
  "directory.made",
  "directory.ignored",
  "directory.marked",
  "directory.held",
  "directory.named",
  "store-key.wrapped",
];
const killAt = join(import.meta.dirname, "crash", "kill-at.ts");

async function killedAt(step: StepName, env: Record<string, string>, cwd: string): Promise<void> {
  const { ended, serving } = beginProcess({ ...env, FLUO_CRASH_AT: `${step}:1` }, { cwd, preload: [killAt] });
  serving.catch(() => {});
  expect((await ended).err).toContain(`killed at ${step}`);
}

describe("a first start that ends early", () => {
  it.each(steps)("by a kill at %s is gone on with by the next", async (step) => {
    const cwd = directory();
    await killedAt(step, {}, cwd);
    await useKeys((await startProcess({}, { cwd })).client);
  });

  const why = whyNotPreloaded();
  /** What a power cut leaves of what was not synced, by what `random` gives: each sector and no name, no sector and all names, half of both. */
  const [sectors, names, half] = [0, 1 - Number.EPSILON, 0.5];

  it.skipIf(why !== undefined && !process.env.CI).each([
    ["directory.ignored", names],
    ["directory.marked", half],
    ["directory.named", names],
    ["store-key.wrapped", sectors],
    ["store-key.stored", half],
  ] as const)("by a power cut at %s is gone on with by the next", async (step, fate) => {
    using disk = recordedFolder();
    const place = { FLUO_KMS_DATA_DIRECTORY: disk.path };
    const cwd = directory();
    await killedAt(step, { ...place, ...disk.env() }, cwd);
    disk.cut(() => fate);
    const first = await startProcess({ ...place, ...disk.env() }, { cwd });
    const kept = await useKeys(first.client);
    await first.end("SIGKILL");
    disk.cut(() => fate);
    const second = await startProcess(place, { cwd });
    await openKept(second.client, kept);
    await second.end("SIGKILL");
  });
});
