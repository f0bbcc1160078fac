/** Access that is taken away at AWS KMS (the fake) while the real service has keys in its caches: when their use ends, and how it comes back. */
import { setTimeout as pause } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { describe, expect, it, type TestContext } from "vitest";
import { Health } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { getJson, plainSpan } from "../support/api-fixture.ts";
import { type AwsKmsFake, type FakeKey, startAwsKms } from "../fakes/aws-kms.ts";
import { useCredentials } from "../support/aws-fixture.ts";
import { fromNow } from "../support/from-now.ts";
import { type CallFailure, failureOf, type GrpcClient, startService } from "../support/running-service.ts";

useCredentials();

const tenantId = "acme";
const value = Buffer.from("ann@example.com");
type World = { fake: AwsKmsFake; key: FakeKey };

interface Setting {
  origin?: "EXTERNAL" | undefined;
  env?: Record<string, string>;
}

/** For the test that it is given, as others run beside it. */
async function start({ onTestFinished }: TestContext, { origin, env = {} }: Setting = {}) {
  const fake = await startAwsKms({ region: "us-east-1" });
  const key = fake.createKey(origin && { origin });
  const service = await startService({
    "fluo.kms.provider": "aws",
    "fluo.kms.store": "memory",
    "aws.kms.region": fake.region,
    "aws.kms.endpoint": fake.url,
    "aws.kms.master-key-id": key.arn,
    "kms.provider.check-interval": "1s",
    ...env,
  });
  onTestFinished(async () => {
    await service.stop();
    await fake.close();
  });
  const kms = service.grpc;
  const { fields } = await kms.encryptPii({ tenantId, fields: [{ name: "email", value }] });
  const { attributes } = await kms.signSpan({ tenantId, span: plainSpan });
  return { fake, key, service, kms, token: fields[0]!.token, span: { ...plainSpan, attributes } };
}

const encrypt = (kms: GrpcClient, of = tenantId) =>
  kms.encryptPii({ tenantId: of, fields: [{ name: "email", value }] });

/** Between calls: many of these tests run at once, in the process of their services. */
const pauseMs = 10;
/** Of a second each, until the service acts on what is otherwise: one that was under way, one that sees it, and two more for a machine that is slow. */
const mostLooks = 4;

/** Calls until one fails. */
async function untilRefused(call: () => Promise<unknown>): Promise<{ failure: CallFailure; served: number }> {
  for (let served = 0; ; served += 1) {
    const answer = call();
    if (
      await answer.then(
        () => true,
        () => false,
      )
    ) {
      await pause(pauseMs);
      continue;
    }
    return { failure: await failureOf(answer), served };
  }
}

async function untilServed(call: () => Promise<unknown>): Promise<void> {
  while (
    !(await call().then(
      () => true,
      () => false,
    ))
  )
    await pause(pauseMs);
}

/** How often the service looks at its key until then. */
async function looksUntil({ fake }: World, happens: () => Promise<unknown>): Promise<number> {
  const before = fake.calls.DescribeKey!;
  await happens();
  return fake.calls.DescribeKey! - before;
}

const setState =
  (state: FakeKey["state"]) =>
  ({ key }: World) => {
    key.state = state;
  };

const revocations: [name: string, says: string, revoke: (world: World) => void, origin?: "EXTERNAL"][] = [
  ["disabled", "Disabled", setState("Disabled")],
  [
    "scheduled for deletion",
    "PendingDeletion",
    ({ key }) => {
      key.state = "PendingDeletion";
      key.deletionDate = fromNow(7 * 86_400_000);
    },
  ],
  ["denied to the service", "denies access to its key", ({ fake }) => fake.deny(() => true)],
  ["without its imported material, which expired", "PendingImport", setState("PendingImport"), "EXTERNAL"],
];

const restore = ({ fake, key }: World) => {
  key.state = "Enabled";
  fake.deny(() => false);
};

describe.concurrent("a key that is", () => {
  it.concurrent.for(revocations)(
    "%s ends all use of cached keys, and the service works again when that is undone",
    async ([, says, revoke, origin], test) => {
      const { kms, service, token, span, ...world } = await start(test, { origin });
      revoke(world);
      const looks = await looksUntil(world, async () => {
        const { failure } = await untilRefused(() => encrypt(kms));
        expect(failure).toMatchObject({ code: status.FAILED_PRECONDITION, message: expect.stringContaining(says) });
      });
      expect(looks).toBeLessThanOrEqual(mostLooks);

      const calls = [
        kms.signSpan({ tenantId, span: plainSpan }),
        kms.generateDataKey({ tenantId }),
        encrypt(kms, "new-tenant"),
      ];
      for (const { code } of await Promise.all(calls.map(failureOf))) expect(code).toBe(status.FAILED_PRECONDITION);
      const [field] = (await kms.decryptPii({ tenantId, fields: [{ name: "email", token }] })).fields;
      expect(field!.result).toMatchObject({ case: "error", value: { code: status.FAILED_PRECONDITION } });

      expect(await kms.status({})).toMatchObject({
        status: Health.DOWN,
        notices: expect.arrayContaining([expect.stringContaining(says)]),
      });
      expect((await getJson(`${service.url}/q/health/ready`)).status).toBe(503);
      expect((await kms.getPublicKeys({ tenantId })).keys).toHaveLength(1);
      expect(await kms.verifySpan({ tenantId, span })).toMatchObject({ verified: true });

      restore(world);
      expect(await looksUntil(world, () => untilServed(() => encrypt(kms)))).toBeLessThanOrEqual(mostLooks);
      expect((await kms.decryptPii({ tenantId, fields: [{ name: "email", token }] })).fields[0]!.result.case).toBe(
        "value",
      );
      expect((await kms.status({})).status).toBe(Health.OPERATIONAL);
    },
  );
});

it.concurrent("stays refused when the provider, having said no, cannot be reached", async (test) => {
  const { kms, fake, key } = await start(test);
  key.state = "Disabled";
  await untilRefused(() => encrypt(kms));
  await fake.fault({ mode: "resetting" });
  const looks = fake.calls.DescribeKey!;
  await fake.until(() => fake.calls.DescribeKey! >= looks + 2);
  expect((await failureOf(encrypt(kms))).code).toBe(status.FAILED_PRECONDITION);
  expect((await kms.status({})).status).toBe(Health.DOWN);
  // It comes back, and is still disabled.
  await fake.heal();
  expect((await failureOf(encrypt(kms))).code).toBe(status.FAILED_PRECONDITION);
  key.state = "Enabled";
  expect(await looksUntil({ fake, key }, () => untilServed(() => encrypt(kms)))).toBeLessThanOrEqual(mostLooks);
});

describe.concurrent("Decrypt alone that is denied, while the key looks well", () => {
  const deny = (fake: AwsKmsFake) => fake.deny(({ operation }) => operation === "Decrypt");

  it.concurrent("ends the use of each cached key at its second use after the first call that is denied", async (test) => {
    const { kms, fake } = await start(test);
    await encrypt(kms, "other");
    deny(fake);
    await encrypt(kms); // nobody knows yet
    expect((await failureOf(encrypt(kms, "new-tenant"))).code).toBe(status.FAILED_PRECONDITION);
    for (const of of [tenantId, "other"]) {
      const asked = fake.calls.Decrypt!;
      await encrypt(kms, of); // and is asked for anew behind it
      await fake.until(() => fake.calls.Decrypt! > asked && fake.inFlight === 0);
      const { failure, served } = await untilRefused(() => encrypt(kms, of));
      expect(failure.code).toBe(status.FAILED_PRECONDITION);
      expect(served).toBeLessThanOrEqual(1); // its answer may be on the way
    }
    fake.deny(() => false);
    for (const of of [tenantId, "other"]) await untilServed(() => encrypt(kms, of));
  });

  it.concurrent("ends it within kms.cache.ttl where no other call is denied before", async (test) => {
    const { kms, fake } = await start(test, { env: { "kms.cache.ttl": "2s" } });
    deny(fake);
    const asked = fake.calls.Decrypt!;
    const { failure } = await untilRefused(() => encrypt(kms));
    expect(failure.code).toBe(status.FAILED_PRECONDITION);
    expect(fake.calls.Decrypt! - asked).toBeLessThanOrEqual(2); // ahead of its time, and when it is over
  });

  it.concurrent("of one tenant, by its encryption context, costs no other its keys", async (test) => {
    const { kms, fake } = await start(test);
    await encrypt(kms, "other");
    fake.deny(({ operation, context }) => operation === "Decrypt" && context.tenant_id === "other");
    expect((await failureOf(kms.signSpan({ tenantId: "other", span: plainSpan }))).code).toBe(
      status.FAILED_PRECONDITION,
    );
    for (let round = 0; round < 20; round += 1) {
      await encrypt(kms);
      await failureOf(kms.signSpan({ tenantId: "other", span: plainSpan }));
    }
    const { failure } = await untilRefused(() => encrypt(kms, "other"));
    expect(failure.code).toBe(status.FAILED_PRECONDITION);
    await encrypt(kms);
  });
});
