/** `kms.cache.warm` on the real service: keys are there before its ports are, and nothing keeps it from its start. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { plainSpan } from "./support/api-fixture.ts";
import { startService } from "./support/running-service.ts";
import { startProcess } from "./support/service-process.ts";
import { startAwsKms } from "./fakes/aws-kms.ts";
import { awsEnvironment } from "./outage/service.ts";

let env: { FLUO_KMS_LOCAL_MASTER_KEY_FILE: string; FLUO_KMS_SQLITE_FILE: string };
beforeAll(() => {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-warm-"));
  env = { FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "master.key"), FLUO_KMS_SQLITE_FILE: join(dir, "kms.db") };
});

it.each([
  ["named", "acme,nobody"],
  ["recent", "recent"],
])("loads the keys of tenants that are %s, and their first calls need no provider", async (_what, tenants) => {
  const before = await startService(env);
  await before.grpc.signSpan({ tenantId: "acme", span: plainSpan });
  const { ciphertextBlob } = await before.grpc.generateDataKey({ tenantId: "acme" });
  await before.stop();

  const { client, log, said, end } = await startProcess({ ...env, KMS_CACHE_WARM: tenants });
  const line = JSON.parse(await said(/keys were loaded ahead of their use/));
  expect(line).toMatchObject({ keys: 2, failed: 0, left: 0, seconds: expect.any(Number) });
  expect(log.findIndex((each) => each.includes("ahead of their use"))).toBeLessThan(
    log.findIndex((each) => each.includes("gRPC on")),
  );
  await client.signSpan({ tenantId: "acme", span: plainSpan });
  await client.decryptDataKey({ tenantId: "acme", ciphertextBlob });
  const { cost } = await client.status({});
  // The probe at the start; the store key, with the proof that it is bound; and the two keys.
  expect(Number(cost!.providerCalls.decrypt)).toBe(4 + 2 + 2);
  await end();
});

it("starts without what cannot be loaded, and says so", async () => {
  const fake = await startAwsKms({ region: "us-east-1" });
  onTestFinished(() => fake.close());
  const aws = {
    ...awsEnvironment,
    FLUO_KMS_PROVIDER: "aws",
    AWS_KMS_REGION: fake.region,
    AWS_KMS_ENDPOINT: fake.url,
    AWS_KMS_MASTER_KEY_ID: fake.createKey().arn,
    FLUO_KMS_SQLITE_FILE: `${env.FLUO_KMS_SQLITE_FILE}-aws`,
  };
  const before = await startProcess(aws);
  for (const tenantId of ["acme", "other"]) await before.client.generateDataKey({ tenantId });
  await before.end();

  fake.deny(({ operation, context }) => operation === "Decrypt" && context.tenant_id === "acme");
  const { client, said, end } = await startProcess({ ...aws, KMS_CACHE_WARM: "recent" });
  const line = JSON.parse(await said(/some keys could not be loaded ahead of their use/));
  expect(line).toMatchObject({
    keys: 1,
    failed: 1,
    err: { message: expect.stringContaining("denies access to its key") },
  });
  fake.deny(() => false);
  await client.generateDataKey({ tenantId: "other" });
  // A denial is told again for a second.
  const served = () =>
    client.generateDataKey({ tenantId: "acme" }).then(
      () => true,
      () => false,
    );
  await expect.poll(served).toBe(true);
  await end();
});
