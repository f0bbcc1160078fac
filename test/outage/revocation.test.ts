/** Access that is taken away at AWS KMS (the fake) while the real service has keys in its caches: when their use ends, and how it comes back. */
import { status } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { denialMs } from "../../src/keys/stale-policy.ts";
import { getJson, plainSpan } from "../support/api-fixture.ts";
import { type AwsKmsFake, type FakeKey, startAwsKms } from "../fakes/aws-kms.ts";
import { useCredentials } from "../support/aws-fixture.ts";
import { fromNow } from "../support/from-now.ts";
import { failureOf, type GrpcClient, startService } from "../support/running-service.ts";
import { type VirtualTime, virtualTime } from "../support/virtual-time.ts";

useCredentials();

const tenantId = "acme";
const value = Buffer.from("ann@example.com");
type World = { time: VirtualTime; fake: AwsKmsFake; key: FakeKey };

interface Setting {
  origin?: "EXTERNAL" | undefined;
  env?: Record<string, string>;
}

async function start({ origin, env = {} }: Setting = {}) {
  const time = virtualTime();
  const fake = await startAwsKms({ region: "us-east-1", time });
  const key = fake.createKey(origin && { origin });
  const service = await startService(
    {
      "fluo.kms.provider": "aws",
      "fluo.kms.store": "memory",
      "aws.kms.region": fake.region,
      "aws.kms.endpoint": fake.url,
      "aws.kms.master-key-id": key.arn,
      "kms.provider.check-interval": "1s",
      ...env,
    },
    { time },
  );
  onTestFinished(async () => {
    await service.stop();
    await fake.close();
  });
  const kms = service.grpc;
  const { fields } = await kms.encryptPii({ tenantId, fields: [{ name: "email", value }] });
  const { attributes } = await kms.signSpan({ tenantId, span: plainSpan });
  return { time, fake, key, service, kms, token: fields[0]!.token, span: { ...plainSpan, attributes } };
}

const encrypt = (kms: GrpcClient, of = tenantId) =>
  kms.encryptPii({ tenantId: of, fields: [{ name: "email", value }] });

/** Within which the service looks once at a key that is well, and at one that is not. */
const [lookMs, lookAgainMs] = [1_100, 1_000];

/** How often the service looks at its key in this time. */
async function looksIn({ fake, time }: Pick<World, "fake" | "time">, ms: number): Promise<number> {
  const before = fake.calls.DescribeKey!;
  await time.advance(ms);
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

describe("a key that is", () => {
  it.each(revocations)(
    "%s ends all use of cached keys, and the service works again when that is undone",
    async (_how, says, revoke, origin) => {
      const { kms, service, token, span, ...world } = await start({ origin });
      revoke(world);
      expect(await looksIn(world, lookMs)).toBe(1);
      expect(await failureOf(encrypt(kms))).toMatchObject({
        code: status.FAILED_PRECONDITION,
        message: expect.stringContaining(says),
      });

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
      expect(await looksIn(world, lookAgainMs)).toBe(1);
      await encrypt(kms);
      expect((await kms.decryptPii({ tenantId, fields: [{ name: "email", token }] })).fields[0]!.result.case).toBe(
        "value",
      );
      expect((await kms.status({})).status).toBe(Health.OPERATIONAL);
    },
  );
});

it("stays refused when the provider, having said no, cannot be reached", async () => {
  const { kms, fake, key, time } = await start();
  key.state = "Disabled";
  await time.advance(lookMs);
  await failureOf(encrypt(kms));
  await fake.fault({ mode: "resetting" });
  expect(await looksIn({ fake, time }, 3 * lookAgainMs)).toBe(3);
  expect((await failureOf(encrypt(kms))).code).toBe(status.FAILED_PRECONDITION);
  expect((await kms.status({})).status).toBe(Health.DOWN);
  // It comes back, and is still disabled.
  await fake.heal();
  expect((await failureOf(encrypt(kms))).code).toBe(status.FAILED_PRECONDITION);
  key.state = "Enabled";
  expect(await looksIn({ fake, time }, lookAgainMs)).toBe(1);
  await encrypt(kms);
});

describe("Decrypt alone that is denied, while the key looks well", () => {
  const deny = (fake: AwsKmsFake) => fake.deny(({ operation }) => operation === "Decrypt");

  it("ends the use of each cached key at its second use after the first call that is denied", async () => {
    const { kms, fake, time } = await start();
    await encrypt(kms, "other");
    deny(fake);
    await encrypt(kms); // nobody knows yet
    expect((await failureOf(encrypt(kms, "new-tenant"))).code).toBe(status.FAILED_PRECONDITION);
    for (const of of [tenantId, "other"]) {
      const asked = fake.calls.Decrypt!;
      await encrypt(kms, of);
      await time.idle(); // it is asked for anew behind it
      expect(fake.calls.Decrypt).toBe(asked + 1);
      expect((await failureOf(encrypt(kms, of))).code).toBe(status.FAILED_PRECONDITION);
    }
    fake.deny(() => false);
    await time.advance(denialMs);
    for (const of of [tenantId, "other"]) await encrypt(kms, of);
  });

  it("ends it within kms.cache.ttl where no other call is denied before", async () => {
    const { kms, fake, time } = await start({ env: { "kms.cache.ttl": "2s" } });
    deny(fake);
    const asked = fake.calls.Decrypt!;
    for (let ms = 0; ms < 2_000; ms += 100) {
      await encrypt(kms).catch(() => {}); // ahead of its end, too
      await time.advance(100);
    }
    expect((await failureOf(encrypt(kms))).code).toBe(status.FAILED_PRECONDITION);
    expect(fake.calls.Decrypt! - asked).toBeLessThanOrEqual(2); // ahead of its time, and when it is over
  });

  it("of one tenant, by its encryption context, costs no other its keys", async () => {
    const { kms, fake, time } = await start();
    await encrypt(kms, "other");
    fake.deny(({ operation, context }) => operation === "Decrypt" && context.tenant_id === "other");
    expect((await failureOf(kms.signSpan({ tenantId: "other", span: plainSpan }))).code).toBe(
      status.FAILED_PRECONDITION,
    );
    for (let round = 0; round < 20; round += 1) {
      await encrypt(kms);
      await failureOf(kms.signSpan({ tenantId: "other", span: plainSpan }));
    }
    await encrypt(kms, "other");
    await time.idle(); // it is asked for anew behind it
    expect((await failureOf(encrypt(kms, "other"))).code).toBe(status.FAILED_PRECONDITION);
    await encrypt(kms);
  });
});
