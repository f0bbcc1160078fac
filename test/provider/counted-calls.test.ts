/** What the service counts as calls to its provider: those that reached it, and none that the breaker refused. */
import { status } from "@grpc/grpc-js";
import { expect, it, onTestFinished } from "vitest";
import { startAwsKms } from "../fakes/aws-kms.ts";
import { failureOf, startService } from "../support/running-service.ts";
import { useCredentials } from "../support/aws-fixture.ts";

useCredentials();

it("counts no call that never reached the provider, in Status and in the metrics", async () => {
  const fake = await startAwsKms({ region: "us-east-1" });
  const service = await startService({
    "fluo.kms.provider": "aws",
    "fluo.kms.store": "memory",
    "aws.kms.region": fake.region,
    "aws.kms.endpoint": fake.url,
    "aws.kms.master-key-id": fake.createKey().arn,
  });
  onTestFinished(async () => {
    await service.stop();
    await fake.close();
  });
  const { grpc: kms, url } = service;
  const refused = async (tenantId: string) =>
    expect((await failureOf(kms.generateDataKey({ tenantId }))).code).toBe(status.UNAVAILABLE);
  const counted = async () => {
    const metrics = await (await fetch(`${url}/q/metrics`)).text();
    const [, count] =
      /kms_provider_call_seconds_count\{operation="generate_data_key",[^}]*\} (\d+)/.exec(metrics) ?? [];
    return [Number(count), Number((await kms.status({})).cost!.providerCalls.generate_data_key)];
  };

  await fake.fault({ mode: "503" });
  while ((await kms.status({})).breakers[0]!.state === "closed") await refused("first");
  const before = await counted();
  expect(before[0]).toBeGreaterThan(0);
  expect(before[1]).toBe(fake.calls.GenerateDataKey);
  for (let n = 0; n < 5; n += 1) await refused(`tenant-${n}`);
  expect(await counted()).toEqual(before);
});
