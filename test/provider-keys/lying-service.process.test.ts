/** The whole service, as a process, on a provider that lies: at the start, and while it runs. */
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import pg from "pg";
import { describe, it, type TestContext } from "vitest";
import { Health, ProviderCondition } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { type Lie, lies } from "../../src/provider/distrust.ts";
import { startAwsKms } from "../fakes/aws-kms.ts";
import { awsEnvironment, startOutageService, statusWhere } from "../outage/service.ts";
import { run } from "../support/cli-fixture.ts";
import { patience } from "../support/patience.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { failureOf, type GrpcClient } from "../support/running-service.ts";
import { type ServiceProcess, startProcess } from "../support/service-process.ts";

const hours = join(import.meta.dirname, "hours.ts");

/** Hours from the last probe until the lie is found, at most; and how much later other replicas find it. */
const hourAtMost = 1 + 5.5 / 60;
const othersAtMost = 5.5 / 60;
/** Calls. */
const wholeProbe = 7;

/** When a lie is found by a service whose callers use a cached key, and then need new ones. */
const foundBy: Record<Lie, "at the next new key" | "at the next new key but one" | "within the hour"> = {
  "wrong-context": "within the hour",
  "tampered-ciphertext": "within the hour",
  "short-key": "at the next new key",
  "zero-key": "at the next new key",
  "repeated-key": "at the next new key but one",
  "other-key": "at the next new key",
  "other-bytes": "at the next new key",
  "plaintext-inside": "at the next new key",
};

// They wait more than they work: for the next probe, for example.
describe("of two services on one database", () => {
  it.concurrent("one probes in an hour, and both see a lie within their time", async ({ expect, onTestFinished }) => {
    const server = await sharedPostgres();
    onTestFinished(() => server.close());
    const url = await server.createDatabase();
    const pool = new pg.Pool({ connectionString: url, max: 1, allowExitOnIdle: true });
    pool.on("error", () => {}); // the server ends with the test
    const given = { FLUO_KMS_STORE: "postgres", FLUO_KMS_POSTGRES_URL: url };
    const { service: one, later } = await startService(onTestFinished, given);
    const [fake] = one.fakes;
    const other = await startProcess(one.env, { preload: [hours], finished: onTestFinished });
    const probes = () => fake.log.filter(isProbe).length;
    expect(probes()).toBe(2 * wholeProbe); // each at its start
    later(hourAtMost);
    // Each asks for the lease once, and the second one finds that the first has probed. What is given back is due again.
    const leases = async () =>
      (
        await pool.query(
          "select generation, expires_at <= extract(epoch from clock_timestamp()) * 1000 as back from kms_leases where name like 'probe/%'",
        )
      ).rows;
    await expect.poll(leases).toEqual([{ generation: "2", back: true }]);
    const held = () => Promise.all([holdsProbe(one), holdsProbe(other)]);
    await expect.poll(held).toEqual([false, false]);
    expect(probes()).toBe(3 * wholeProbe);

    await fake.fault({ lie: "wrong-context" });
    const isDown = async ({ client }: Pick<ServiceProcess, "client">) =>
      (await client.status({})).providerKeys[0]!.condition === ProviderCondition.DENIED;
    const caught = async () => [await isDown(one), await isDown(other)].filter(Boolean).length;
    later(2 * hourAtMost);
    await expect.poll(caught).toBeGreaterThan(0);
    later(2 * hourAtMost + othersAtMost);
    // The lease of the first one's probe ends by PostgreSQL's clock, in a minute of real time.
    await expect.poll(caught).toBe(2);
  });
});

it.concurrent.for([
  ["zero-key", "it made a data key of zeros"],
  ["wrong-context", "it opened a wrapped key under another encryption context"],
] as const)(
  "does not start where the provider lies by %s, and says what it did",
  async ([lie, what], { expect, onTestFinished }) => {
    const fake = await startAwsKms({ region: "eu-west-1" });
    onTestFinished(() => fake.close());
    await fake.fault({ lie });
    const { code, out, err } = await run([], {
      finished: onTestFinished,
      env: {
        ...awsEnvironment,
        FLUO_KMS_PROVIDER: "aws",
        FLUO_KMS_STORE: "memory",
        AWS_KMS_REGION: fake.region,
        AWS_KMS_ENDPOINT: fake.url,
        AWS_KMS_MASTER_KEY_ID: fake.createKey().arn,
        FLUO_KMS_GRPC_PORT: "0",
        FLUO_KMS_HTTP_PORT: "0",
      },
    });
    expect([code, err]).toEqual([
      1,
      expect.stringContaining(`did not start: the provider is not to be trusted: ${what}: Find out`),
    ]);
    expect(out).toMatch(new RegExp(`"lie":"${lie}".*provider aws is denied`));
  },
);

describe.concurrent.each(lies)("a service whose provider begins to lie by %s", (lie) => {
  it(`refuses it ${foundBy[lie]}, names it in Status, metrics and log, and goes on only once a probe passes`, async ({
    expect,
    onTestFinished,
  }) => {
    const { service, later } = await startService(onTestFinished);
    const { kms, http, said, log } = service;
    const [fake] = service.fakes;
    await encrypt(kms, "acme");
    await fake.fault({ lie });
    await encrypt(kms, "acme"); // from the cache, and nobody knows
    if (foundBy[lie] === "within the hour") later(hourAtMost);
    else {
      if (foundBy[lie] === "at the next new key but one") await encrypt(kms, "first");
      await failureOf(encrypt(kms, "newcomer"));
    }
    const seen = await statusWhere(kms, ({ status: health }) => health === Health.DOWN, { withinMs: patience(10_000) });
    const [key] = seen!.providerKeys;
    expect(key).toMatchObject({
      condition: ProviderCondition.DENIED,
      detail: expect.stringMatching(/^not to be trusted: it /),
    });
    expect(seen!.notices).toContain(`The provider aws is ${key!.detail}.`);
    expect(JSON.parse(await said(/provider aws is denied/))).toMatchObject({ level: 50, lie, detail: key!.detail });
    const metrics = await (await fetch(`${http}/q/metrics`)).text();
    for (const each of lies) {
      const count = each === lie ? "[1-9]\\d*" : "0";
      expect(metrics).toMatch(new RegExp(`^kms_provider_lies_total\\{lie="${each}"[^}]*\\} ${count}$`, "m"));
    }
    const refusal = { code: status.FAILED_PRECONDITION, message: expect.stringContaining(key!.detail) };
    for (const tenantId of ["acme", "another"]) {
      expect(await failureOf(encrypt(kms, tenantId))).toMatchObject(refusal);
    }

    // Its own word for the key changes nothing; nor does a probe that catches it again.
    const before = fake.calls.DescribeKey!;
    await fake.until(() => fake.calls.DescribeKey! > before);
    expect((await kms.status({})).providerKeys[0]!.condition).toBe(ProviderCondition.DENIED);
    expect(log.filter((line) => line.includes("provider aws is answering"))).toEqual([]);
    await fake.heal();
    await said(/provider aws is answering/);
    await encrypt(kms, "acme");
    expect((await kms.status({})).status).toBe(Health.OPERATIONAL);
  });
});

it.concurrent.for([
  ["slow", { latencyMs: 300 }],
  ["throttled", { throttled: 1 }],
  ["answering with 503", { mode: "503" }],
] as const)(
  "never accuses a provider that is %s when it is probed",
  async ([, trouble], { expect, onTestFinished }) => {
    const { service, later } = await startService(onTestFinished);
    const { kms, http, said } = service;
    const [fake] = service.fakes;
    await encrypt(kms, "acme");
    const before = fake.log.filter(isProbe).length;
    await fake.fault(trouble);
    later(hourAtMost);
    if ("latencyMs" in trouble) await fake.until(() => fake.log.filter(isProbe).length >= before + 7);
    else await said(/could not be probed|provider aws is unavailable/);
    const { providerKeys } = await kms.status({});
    expect(providerKeys[0]!.condition).not.toBe(ProviderCondition.DENIED);
    await encrypt(kms, "acme");
    expect(await (await fetch(`${http}/q/metrics`)).text()).not.toMatch(/^kms_provider_lies_total\{[^}]*\} [1-9]/m);
  },
);

it.concurrent("says in Status which key cannot be probed, and why", async ({ expect, onTestFinished }) => {
  const { service, later } = await startService(onTestFinished);
  const [fake] = service.fakes;
  fake.deny(({ context }) => context.key_id?.startsWith("fluo-kms-probe") === true);
  later(hourAtMost);
  const remark = /^The provider key aws arn:\S+ could not be probed \(.+\): whether its provider lies is not known\.$/;
  const isSaid = ({ notices }: { notices: string[] }) => notices.some((notice) => remark.test(notice));
  const seen = await statusWhere(service.kms, isSaid, { withinMs: patience(10_000) });
  expect(seen!.providerKeys[0]!.condition).toBe(ProviderCondition.ANSWERING);
});

async function startService(onTestFinished: TestContext["onTestFinished"], given: Record<string, string> = {}) {
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-lies-")), "hours");
  const later = (count: number) => {
    writeFileSync(`${file}.new`, String(count));
    renameSync(`${file}.new`, file); // it is never seen empty, which is no hour
  };
  later(0);
  const env = { FLUO_HOURS: file, ...given };
  const service = await startOutageService({ env, preload: [hours], finished: onTestFinished });
  onTestFinished(service.close);
  return { service, later };
}

/** From the answer that gives it the lease of a probe until the answer that takes it back; the key has its next time then. */
async function holdsProbe({ http }: Pick<ServiceProcess, "http">): Promise<boolean> {
  const metrics = await (await fetch(`${http}/q/metrics`)).text();
  return /^kms_lease_held\{name="probe"[^}]*\} 1$/m.test(metrics);
}

function isProbe({ context }: { context: Record<string, string> }): boolean {
  return context.tenant_id === "fluo-kms-probe";
}

function encrypt(kms: GrpcClient, tenantId: string) {
  return kms.encryptPii({ tenantId, fields: [{ name: "email", value: Buffer.from("ann@example.com") }] });
}
