/** Preflight of services that are not what production has, and of none. */
import { writeFileSync } from "node:fs";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { lineNames } from "../../../src/cli/preflight/checklist.ts";
import { networkOf } from "../../../src/cli/preflight/gather.ts";
import type { Line } from "../../../src/cli/preflight/line.ts";
import { withoutSpeed } from "../../support/advice.ts";
import { run } from "../../support/cli-fixture.ts";
import { type Place, sql, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { eventually } from "../../support/eventually.ts";
import { startProcess } from "../../support/service-process.ts";

interface Answer {
  ok: boolean;
  checks: Line[];
}

async function preflight(env: object, cwd: string, ...args: string[]) {
  const { code, out, err } = await run(["preflight", "--json", ...args], { env, cwd });
  expect(err).toBe("");
  const answer: Answer = JSON.parse(out);
  return { code, answer, lines: Object.fromEntries(answer.checks.map((line) => [line.name, line])) };
}

const failing = ({ checks }: Answer) =>
  withoutSpeed(checks).flatMap(({ name, result }) => (result === "FAIL" ? [name] : []));

/** The service that the quickstart's first step leaves, with a first key, and all that is stored looked at. */
async function development(): Promise<Place & { http: string }> {
  const where = sqlitePlace();
  const { http } = await startProcess(where.env);
  const body = JSON.stringify({ tenantId: "acme" });
  const headers = { "content-type": "application/json" };
  const made = await fetch(`${http}/fluo.kms.v1.KmsService/GenerateDataKey`, { method: "POST", headers, body });
  expect(made.status).toBe(200);
  await eventually(async () => {
    const status = await fetch(`${http}/api/admin/kms/status`);
    expect(await status.json()).toMatchObject({ integrity: { percent: 100 } });
  });
  return { ...where, http };
}

it("fails for what a service of the quickstart's first step lacks, and says why", async () => {
  const { http, env, directory: cwd } = await development();
  const { code, answer, lines } = await preflight(env, cwd, "--address", http);
  expect({ code, ok: answer.ok }).toEqual({ code: 1, ok: false });
  expect(failing(answer)).toEqual(["profile", "authentication", "provider", "backup", "drill", "heads-file"]);
  expect(lines).toMatchObject({
    profile: { found: "dev", advice: expect.stringContaining("fluo.kms.profile=prod") },
    authentication: { found: expect.stringMatching(/^none: whoever can connect/) },
    provider: { found: expect.stringMatching(/^local: the master key is in/) },
    backup: { found: expect.stringMatching(/^fluo\.kms\.backup\.interval is not set/) },
    drill: { found: "none was noted" },
    "heads-file": { found: expect.stringContaining("is on the file system of the store") },
    rotation: { result: "PASS", found: expect.stringMatching(/the oldest ACTIVE key is of \d+ seconds? ago/) },
    tls: { result: "SKIPPED", found: "the service listens on 127.0.0.1 alone" },
    policy: { result: "SKIPPED", found: "there is none" },
    store: { result: "PASS", found: "sqlite, for one instance" },
    "postgres-pooler": { result: "SKIPPED", found: "the store is sqlite" },
  });
  const { lines: several } = await preflight(env, cwd, "--address", http, "--replicas", "2");
  expect(several.store).toMatchObject({ result: "FAIL", advice: "set fluo.kms.store=postgres" });
});

it("fails for a store in memory", async () => {
  const { http } = await startProcess();
  const { answer, lines } = await preflight({ FLUO_KMS_STORE: "memory" }, directory(), "--address", http);
  expect(failing(answer)).toContain("store");
  expect(lines.store!.found).toMatch(/^memory: keys are lost with the process/);
  for (const name of ["backup", "drill", "upgrade", "heads-file"]) {
    expect(lines[name], name).toMatchObject({ result: "SKIPPED", found: "the store is in memory" });
  }
});

it("judges nothing by settings that are not the service's", async () => {
  const { http } = await development();
  const inMemory = await preflight({ FLUO_KMS_STORE: "memory" }, directory(), "--address", http);
  expect(inMemory.lines.settings!.found).toBe("the service has the store sqlite, and these settings memory");
  const cwd = directory();
  const elsewhere = await preflight({}, cwd, "--address", http);
  expect(elsewhere.lines.settings).toMatchObject({
    result: "FAIL",
    found: `the service has the store sqlite, and these settings lead to ${join(cwd, "fluo-kms-data")}, which is no data directory`,
  });
  expect(failing(elsewhere.answer)).toEqual(["settings", "authentication", "provider", "heads-file"]);
  expect(elsewhere.lines.profile!.result).toBe("SKIPPED");
  // Another store of the same kind, which another service has used.
  const other = await development();
  const { answer, lines } = await preflight(other.env, other.directory, "--address", http);
  expect(lines.settings!.found).toMatch(/has no audit row of the service: it is another store$/);
  expect(failing(answer)).toEqual(["settings", "authentication", "provider", "heads-file"]);
});

it("fails for a store whose key the settings do not open, and looks at all else", async () => {
  const { http, env, directory: cwd } = await development();
  writeFileSync(join(cwd, "other.key"), Buffer.alloc(32, 1), { mode: 0o600 });
  const { answer, lines } = await preflight(
    { ...env, FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(cwd, "other.key") },
    cwd,
    ...["--address", http],
  );
  expect(failing(answer)).toEqual(["profile", "authentication", "provider", "store", "heads-file"]);
  expect(lines.backup).toMatchObject({ result: "SKIPPED", found: "not tried: the store could not be read" });
});

it("fails for a store whose notes somebody altered", async () => {
  const where = await development();
  const columns = "release, version, seen_at, mac";
  const copied = `insert into kms_replicas (replica_id, ${columns}) select ?1, ${columns} from kms_replicas limit 1`;
  await sql(where, copied, "ff".repeat(16));
  const { lines } = await preflight(where.env, where.directory, "--address", where.http);
  expect(lines.store).toMatchObject({ result: "FAIL", found: expect.stringMatching(/the note of the replica ffff/) });
});

/** Every line but the first was not tried. */
function expectNothingTried({ code, answer }: Awaited<ReturnType<typeof preflight>>): void {
  const [service, ...others] = answer.checks;
  expect({ code, ok: answer.ok, result: service!.result }).toEqual({ code: 1, ok: false, result: "FAIL" });
  expect(answer.checks.map(({ name }) => name)).toEqual(lineNames);
  for (const line of others) {
    expect(line).toEqual({ name: line.name, result: "SKIPPED", found: "not tried: the service gave no answer" });
  }
}

it("says that nothing was tried where no service is", async () => {
  const found = await preflight({}, directory(), "--address", "http://127.0.0.1:1");
  expectNothingTried(found);
  expect(found.lines.service!.found).toMatch(/^nothing listens at http:\/\/127\.0\.0\.1:1;/);
});

it("does not wait for ever for a service that says nothing", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  const found = await preflight({}, directory(), "--address", `http://127.0.0.1:${port}`);
  expectNothingTried(found);
  expect(found.lines.service!.found).toMatch(/^no answer from http:\S+ in time;/);
});

it("is wrong usage with settings that are wrong", async () => {
  const { code, err } = await run(["preflight"], { env: { FLUO_KMS_STORE: "paper" }, cwd: directory() });
  expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining("fluo.kms.store") });
});

it.each([
  ["NFS", 0x6969],
  ["CIFS", 0xff534d42],
  ["CIFS", 0xff534d42 | 0],
  [undefined, 0xef53],
])("takes %s for a network file system by its number, %i", async (name, type) => {
  const look = (async () => ({ type })) as unknown as Parameters<typeof networkOf>[1];
  expect(await networkOf("/", look)).toBe(name);
});
