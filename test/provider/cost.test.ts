/** What AWS KMS (the fake) would charge: its own counts beside ours, and a day of steady use beside the formula of docs/COST.md. */
import { expect, it, onTestFinished } from "vitest";
import { meanLife } from "../../src/keys/stale-policy.ts";
import { dependable } from "../../src/provider/failover.ts";
import { realTime } from "../../src/runtime/time.ts";
import { startAwsKms } from "../fakes/aws-kms.ts";
import { useSteadily } from "../support/steady-use.ts";
import { startService } from "../support/running-service.ts";
import { openOn, useCredentials } from "../support/aws-fixture.ts";

useCredentials();

const hourMs = 3_600_000;

/** In [0, 1), so that the average of few is that of many. */
function* evenly(parts: number): Generator<number, never> {
  for (let part = 0; ; part = (part + 1) % parts) yield part / parts;
}

async function startFake() {
  const fake = await startAwsKms({ region: "eu-west-1" });
  onTestFinished(() => fake.close());
  return fake;
}

it("is what Status and the metrics count: each attempt, the throttled ones too", async () => {
  const fake = await startFake();
  const service = await startService({
    "fluo.kms.provider": "aws",
    "fluo.kms.store": "memory",
    "aws.kms.region": fake.region,
    "aws.kms.endpoint": fake.url,
    "aws.kms.master-key-id": fake.createKey().arn,
    "kms.provider.check-interval": "50s",
  });
  onTestFinished(() => service.stop());
  const atOpening = { DescribeKey: 1 }; // which key an alias means, and whether it is one that fits: docs/COST.md
  await fake.fault({ throttled: 0.5 });
  for (let n = 0; n < 4; n += 1) await service.grpc.generateDataKey({ tenantId: `tenant-${n}` });
  await fake.heal();
  await service.grpc.validate({});

  const { cost } = await service.grpc.status({});
  const counted = Object.fromEntries(Object.entries(cost!.providerCalls).map(([name, count]) => [name, Number(count)]));
  const { calls } = fake;
  expect(counted).toEqual({
    generate_data_key: calls.GenerateDataKey,
    encrypt: calls.Encrypt,
    decrypt: calls.Decrypt,
    describe: calls.DescribeKey! - atOpening.DescribeKey - 1, // one of the inspection
    inspect: calls.GetKeyRotationStatus,
  });
  expect(fake.log.filter(({ outcome }) => outcome === "ThrottlingException").length).toBeGreaterThan(3);
  expect(cost!.chargedCallsPerDay).toBeCloseTo(24 * Object.values(counted).reduce((sum, count) => sum + count, 0), 6);

  const metrics = await (await fetch(`${service.url}/q/metrics`)).text();
  const metric = (name: string, operation: string) =>
    [...metrics.matchAll(new RegExp(`^${name}\\{operation="${operation}"[^}]*\\} (\\d+)`, "gm"))].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  for (const [operation, count] of Object.entries(counted)) {
    expect([operation, metric("kms_provider_requests_total", operation)]).toEqual([operation, count]);
  }
  // The histogram has a call once, however often it was tried.
  expect(metric("kms_provider_call_seconds_count", "generate_data_key")).toBeLessThan(counted.generate_data_key!);
});

it.each([0.5, 1, 2])("is a load in 0.875 of the TTL for each key in steady use: a day at %s h", async (ttlHours) => {
  const fake = await startFake();
  const provider = dependable(await openOn([fake], fake.createKey().arn), {
    time: realTime,
    attemptTimeoutMs: hourMs, // no call is late, however slow the machine is
    totalTimeoutMs: hourMs,
  });
  onTestFinished(() => provider.close());
  const tenants = 5;
  let made = 0;
  const jitter = evenly(16);
  const { stats } = await useSteadily(
    {
      provider,
      ttlMs: ttlHours * hourMs,
      tenants,
      requestsPerStep: 2 * tenants,
      stepMs: 60_000,
      forMs: 24 * hourMs,
      random: () => jitter.next().value,
    },
    () => {
      made = fake.calls.Decrypt!;
    },
  );
  await fake.until(() => fake.inFlight === 0);
  const loads = fake.calls.Decrypt! - made;
  const { data, signing } = stats;
  expect([fake.calls.GenerateDataKey, fake.calls.Encrypt, made]).toEqual([tenants, tenants, 2 * tenants]);
  const counted = [data, signing].reduce((sum, { loads: { refreshed, expired } }) => sum + refreshed + expired, 0);
  expect(loads - counted).toBeLessThanOrEqual(2 * tenants); // those under way when the day ends
  expect(loads).toBeGreaterThanOrEqual(counted);
  const steady = (2 * tenants * 24) / (meanLife * ttlHours);
  expect(loads / steady).toBeGreaterThan(0.9);
  expect(loads / steady).toBeLessThan(1.02);
});
