/** Preflight of services that are not what production has, and of none. */
import { writeFileSync } from "node:fs";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { checkIds } from "../../../src/cli/preflight/check-ids.ts";
import { networkOf } from "../../../src/cli/preflight/gather.ts";
import type { Line } from "../../../src/cli/preflight/line.ts";
import { version } from "../../../src/version.ts";
import { getJson, postRpc } from "../../support/api-fixture.ts";
import { withoutSpeed } from "../../support/advice.ts";
import { run } from "../../support/cli-fixture.ts";
import { type Place, sql, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { eventually } from "../../support/eventually.ts";
import { startProcess } from "../../support/service-process.ts";

interface Answer {
  ok: boolean;
  release: { command: string; service: string | null };
  time: string;
  address: string;
  checks: (Line & { waived: boolean })[];
}

async function preflight(env: object, cwd: string, ...args: string[]) {
  const { code, out, err } = await run(["preflight", "--json", ...args], { env, cwd });
  expect(err).toBe("");
  const answer: Answer = JSON.parse(out);
  return { code, answer, lines: Object.fromEntries(answer.checks.map((line) => [line.id, line])) };
}

const failing = ({ checks }: Answer) =>
  withoutSpeed(checks).flatMap(({ id, outcome }) => (outcome === "FAIL" ? [id] : []));

/** The service that the quickstart's first step leaves, with a first key, and all that is stored looked at. */
async function development(): Promise<Place & { http: string }> {
  const where = sqlitePlace();
  const { http } = await startProcess(where.env);
  expect((await postRpc(http, "GenerateDataKey", { tenantId: "acme" })).status).toBe(200);
  await eventually(async () => {
    expect((await getJson(`${http}/api/admin/kms/status`)).body).toMatchObject({ integrity: { percent: 100 } });
  });
  return { ...where, http };
}

it("fails for what a service of the quickstart's first step lacks, and says why", async () => {
  const { http, env, directory: cwd } = await development();
  const { code, answer, lines } = await preflight(env, cwd, "--address", http);
  expect({ code, ok: answer.ok }).toEqual({ code: 1, ok: false });
  expect(failing(answer)).toEqual(["profile", "authentication", "provider", "backup", "drill", "heads-file"]);
  expect(lines).toMatchObject({
    profile: { text: "dev", advice: expect.stringContaining("fluo.kms.profile=prod") },
    authentication: { text: expect.stringMatching(/^none: whoever can connect/) },
    provider: { text: expect.stringMatching(/^local: the master key is in/) },
    backup: { text: expect.stringMatching(/^fluo\.kms\.backup\.interval is not set/) },
    drill: { text: "none was noted" },
    "heads-file": { text: expect.stringContaining("is on the file system of the store") },
    rotation: { outcome: "PASS", text: expect.stringMatching(/the oldest ACTIVE key is of \d+ seconds? ago/) },
    tls: { outcome: "SKIPPED", text: "the service listens on 127.0.0.1 alone" },
    policy: { outcome: "SKIPPED", text: "there is none" },
    store: { outcome: "PASS", text: "sqlite, for one instance" },
    "postgres-pooler": { outcome: "SKIPPED", text: "the store is sqlite" },
  });
  const { lines: several } = await preflight(env, cwd, "--address", http, "--replicas", "2");
  expect(several.store).toMatchObject({ outcome: "FAIL", advice: "set fluo.kms.store=postgres" });
});

it("passes with what fails waived, and says so, beside what, where and when", async () => {
  const { http, env, directory: cwd } = await development();
  const failed = ["profile", "authentication", "provider", "backup", "drill", "heads-file", "cache-hit"];
  const waiving = failed.flatMap((id) => ["--waive", id]);
  const { code, answer, lines } = await preflight(env, cwd, "--address", http, ...waiving, "--waive", "tls");
  expect({ code, ok: answer.ok }).toEqual({ code: 0, ok: true });
  expect(lines.backup).toMatchObject({ outcome: "FAIL", waived: true });
  expect(lines.tls).toMatchObject({ outcome: "SKIPPED", waived: true });
  expect(lines.store).toMatchObject({ outcome: "PASS", waived: false });
  expect(answer).toMatchObject({ release: { command: version, service: version }, address: http });
  expect(new Date(answer.time).toISOString()).toBe(answer.time);
  const text = await run(["preflight", "--address", http, ...waiving], { env, cwd });
  expect(text).toMatchObject({ code: 0, out: expect.stringMatching(/^ {2}backup +WAIVED {3}fluo\.kms\.backup/m) });
});

it("passes for no other check than the one that is waived", async () => {
  const { http, env, directory: cwd } = await development();
  const { code, answer } = await preflight(env, cwd, "--address", http, "--waive", "backup");
  expect({ code, ok: answer.ok }).toEqual({ code: 1, ok: false });
});

it.each([
  ["bakup", /^fluo-kms: --waive: no check has the id bakup; did you mean backup\?/],
  ["no-stale-key", /did you mean no-stale-keys\?/],
  ["constructor", /^fluo-kms: --waive: no check has the id constructor; the ids of failing checks are in/],
  ["service", /^fluo-kms: --waive service: without an answer of the service nothing is checked/],
])("is wrong usage with --waive %s", async (id, said) => {
  const { code, out, err } = await run(["preflight", "--waive", id], { env: {}, cwd: directory() });
  expect({ code, out, err }).toEqual({ code: 2, out: "", err: expect.stringMatching(said) });
});

it("fails for a store in memory", async () => {
  const { http } = await startProcess();
  const { answer, lines } = await preflight({ FLUO_KMS_STORE: "memory" }, directory(), "--address", http);
  expect(failing(answer)).toContain("store");
  expect(lines.store!.text).toMatch(/^memory: keys are lost with the process/);
  for (const name of ["backup", "drill", "upgrade", "heads-file"]) {
    expect(lines[name], name).toMatchObject({ outcome: "SKIPPED", text: "the store is in memory" });
  }
});

it("judges nothing by settings that are not the service's", async () => {
  const { http } = await development();
  const inMemory = await preflight({ FLUO_KMS_STORE: "memory" }, directory(), "--address", http);
  expect(inMemory.lines.settings!.text).toBe("the service has the store sqlite, and these settings memory");
  const cwd = directory();
  const elsewhere = await preflight({}, cwd, "--address", http);
  expect(elsewhere.lines.settings).toMatchObject({
    outcome: "FAIL",
    text: `the service has the store sqlite, and these settings lead to ${join(cwd, "fluo-kms-data")}, which is no data directory`,
  });
  expect(failing(elsewhere.answer)).toEqual(["settings", "authentication", "provider", "heads-file"]);
  expect(elsewhere.lines.profile!.outcome).toBe("SKIPPED");
  // Another store of the same kind, which another service has used.
  const other = await development();
  const { answer, lines } = await preflight(other.env, other.directory, "--address", http);
  expect(lines["store-identity"]!.text).toMatch(/^these settings lead to the store [0-9a-f]{32}, and the service has/);
  expect(failing(answer)).toEqual(["authentication", "provider", "store-identity", "heads-file"]);
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
  expect(lines.backup).toMatchObject({ outcome: "SKIPPED", text: "not tried: the store could not be read" });
});

it("fails for a store whose notes somebody altered", async () => {
  const where = await development();
  const columns = "release, version, seen_at, mac";
  const copied = `insert into kms_replicas (replica_id, ${columns}) select ?1, ${columns} from kms_replicas limit 1`;
  await sql(where, copied, "ff".repeat(16));
  const { lines } = await preflight(where.env, where.directory, "--address", where.http);
  expect(lines.store).toMatchObject({ outcome: "FAIL", text: expect.stringMatching(/the note of the replica ffff/) });
});

/** Every line but the first was not tried. */
function expectNothingTried({ code, answer }: Awaited<ReturnType<typeof preflight>>): void {
  const [service, ...others] = answer.checks;
  expect({ code, ok: answer.ok, outcome: service!.outcome }).toEqual({ code: 1, ok: false, outcome: "FAIL" });
  expect(answer.checks.map(({ id }) => id)).toEqual(checkIds);
  for (const line of others) {
    const text = "not tried: the service gave no answer";
    expect(line).toEqual({ id: line.id, outcome: "SKIPPED", waived: false, text });
  }
}

it("says that nothing was tried where no service is", async () => {
  const found = await preflight({}, directory(), "--address", "http://127.0.0.1:1");
  expectNothingTried(found);
  expect(found.lines.service!.text).toMatch(/^nothing listens at http:\/\/127\.0\.0\.1:1;/);
});

it("does not wait for ever for a service that says nothing", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  const found = await preflight({}, directory(), "--address", `http://127.0.0.1:${port}`);
  expectNothingTried(found);
  expect(found.lines.service!.text).toMatch(/^no answer from http:\S+ in time;/);
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
