/** The whole service, as a process, on a provider that lies: at the start, and while it runs. */
import { status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Health, ProviderCondition } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { type Lie, lies } from "../../src/provider/distrust.ts";
import { startAwsKms } from "../fakes/aws-kms.ts";
import { awsEnvironment, statusWhere } from "../outage/service.ts";
import { run } from "../support/cli-fixture.ts";
import { failureOf } from "../support/running-service.ts";
import { hourAtMost, isProbe, startLyingService } from "./lying-fixture.ts";

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

it.each([
  ["zero-key", "it made a data key of zeros"],
  ["wrong-context", "it opened a wrapped key under another encryption context"],
] as const)("does not start if the provider lies by %s, and says what it did", async (lie, what) => {
  const fake = await startAwsKms({ region: "eu-west-1" });
  onTestFinished(() => fake.close());
  await fake.fault({ lie });
  const { code, out, err } = await run([], {
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
});

/** One service for all: after each test the provider is honest, and the service answers. */
describe("a service", () => {
  let world: Awaited<ReturnType<typeof startLyingService>>;
  beforeAll(async () => {
    world = await startLyingService();
  });
  afterAll(() => world?.close());

  /** Each test has tenants of its own, whose keys nobody has used. */
  let turn = 0;
  function tenants() {
    turn += 1;
    const { kms } = world.service;
    const value = Buffer.from("ann@example.com");
    return (name: string) => kms.encryptPii({ tenantId: `${name}-${turn}`, fields: [{ name: "email", value }] });
  }

  /** What the log says from now on. */
  function lines() {
    const { log } = world.service;
    const from = log.length;
    const matching = (pattern: RegExp) => log.slice(from).filter((line) => pattern.test(line));
    return {
      matching,
      said: (pattern: RegExp) =>
        expect
          .poll(() => matching(pattern))
          .not.toEqual([])
          .then(() => matching(pattern)[0]!),
    };
  }

  /** How often the provider was caught, by lie. */
  async function caught(): Promise<Record<string, number>> {
    const metrics = await (await fetch(`${world.service.http}/q/metrics`)).text();
    const samples = metrics.matchAll(/^kms_provider_lies_total\{lie="([^"]+)"[^}]*\} (\d+)$/gm);
    const counts = new Map<string, number>();
    for (const [, lie, count] of samples) counts.set(lie!, (counts.get(lie!) ?? 0) + Number(count));
    return Object.fromEntries(counts);
  }

  afterEach(async () => {
    const { kms, fakes } = world.service;
    fakes[0].deny(() => false);
    await fakes[0].heal();
    const isWell = ({ status: health }: { status: Health }) => health === Health.OPERATIONAL;
    expect(await statusWhere(kms, isWell)).toBeDefined();
  });

  it.each(lies)(
    "refuses a provider that lies by %s, names the lie, and goes on only once a probe passes",
    async (lie) => {
      const { service, later } = world;
      const { kms } = service;
      const [fake] = service.fakes;
      const encrypt = tenants();
      const { said, matching } = lines();
      const before = await caught();
      expect(Object.keys(before).toSorted()).toEqual(lies.toSorted());
      await encrypt("acme");
      await fake.fault({ lie });
      await encrypt("acme"); // from the cache, and nobody knows
      if (foundBy[lie] === "within the hour") later(hourAtMost);
      else {
        if (foundBy[lie] === "at the next new key but one") await encrypt("first");
        await failureOf(encrypt("newcomer"));
      }
      const seen = await statusWhere(kms, ({ status: health }) => health === Health.DOWN);
      const [key] = seen!.providerKeys;
      expect(key).toMatchObject({
        condition: ProviderCondition.DENIED,
        detail: expect.stringMatching(/^not to be trusted: it /),
      });
      expect(seen!.notices).toContain(`The provider aws is ${key!.detail}.`);
      expect(JSON.parse(await said(/provider aws is denied/))).toMatchObject({ level: 50, lie, detail: key!.detail });
      const after = await caught();
      expect(after[lie]).toBeGreaterThan(before[lie]!);
      expect({ ...after, [lie]: before[lie] }).toEqual(before);
      const refusal = { code: status.FAILED_PRECONDITION, message: expect.stringContaining(key!.detail) };
      for (const tenant of ["acme", "another"]) expect(await failureOf(encrypt(tenant))).toMatchObject(refusal);

      // Its own word for the key changes nothing; nor does a probe that catches it again.
      const described = fake.calls.DescribeKey!;
      await fake.until(() => fake.calls.DescribeKey! > described);
      expect((await kms.status({})).providerKeys[0]!.condition).toBe(ProviderCondition.DENIED);
      expect(matching(/provider aws is answering/)).toEqual([]);
      await fake.heal();
      await said(/provider aws is answering/);
      await encrypt("acme");
      expect((await kms.status({})).status).toBe(Health.OPERATIONAL);
    },
  );

  it.each([
    ["slow", { latencyMs: 300 }],
    ["throttled", { throttled: 1 }],
    ["answering with 503", { mode: "503" }],
  ] as const)("never accuses a provider that is %s when it is probed", async (_what, trouble) => {
    const { service, later } = world;
    const [fake] = service.fakes;
    const encrypt = tenants();
    const { said } = lines();
    const before = await caught();
    await encrypt("acme");
    const probes = fake.log.filter(isProbe).length;
    await fake.fault(trouble);
    later(hourAtMost);
    if ("latencyMs" in trouble) await fake.until(() => fake.log.filter(isProbe).length >= probes + 7);
    else await said(/could not be probed|provider aws is unavailable/);
    const { providerKeys } = await service.kms.status({});
    expect(providerKeys[0]!.condition).not.toBe(ProviderCondition.DENIED);
    await encrypt("acme");
    expect(await caught()).toEqual(before);
  });

  it("says in Status which key cannot be probed, and why", async () => {
    const { service, later } = world;
    const [fake] = service.fakes;
    fake.deny(({ context }) => context.key_id?.startsWith("fluo-kms-probe") === true);
    later(hourAtMost);
    const remark =
      /^The provider key aws arn:\S+ could not be probed \(.+\): whether its provider lies is not known\.$/;
    const isSaid = ({ notices }: { notices: string[] }) => notices.some((notice) => remark.test(notice));
    const seen = await statusWhere(service.kms, isSaid);
    expect(seen!.providerKeys[0]!.condition).toBe(ProviderCondition.ANSWERING);
  });
});
