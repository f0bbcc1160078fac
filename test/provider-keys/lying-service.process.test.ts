/** The service as a process, on a provider that lies at the start. */
import { expect, it, onTestFinished } from "vitest";
import { startAwsKms } from "../fakes/aws-kms.ts";
import { awsEnvironment } from "../outage/service.ts";
import { run } from "../support/cli-fixture.ts";

it("does not start, and says what its provider did", async () => {
  const fake = await startAwsKms({ region: "eu-west-1" });
  onTestFinished(() => fake.close());
  await fake.fault({ lie: "wrong-context" });
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
  const what = "it opened a wrapped key under another encryption context";
  expect([code, err]).toEqual([
    1,
    expect.stringContaining(`did not start: the provider is not to be trusted: ${what}: Find out`),
  ]);
  expect(out).toMatch(/"lie":"wrong-context".*provider aws is denied/);
});
