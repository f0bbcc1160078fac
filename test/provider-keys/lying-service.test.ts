/** The whole service, as a process, on a provider that lies: at the start, and while it runs. */
import { status } from "@grpc/grpc-js";
import { expect, it, onTestFinished } from "vitest";
import { Health, ProviderCondition } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { awsEnvironment, startOutageService } from "../outage/service.ts";
import { startAwsKms } from "../fakes/aws-kms.ts";
import { run } from "../support/cli-fixture.ts";
import { failureOf } from "../support/running-service.ts";

it.each([
  ["zero-key", "it made a data key of zeros"],
  ["wrong-context", "it opened a wrapped key under another encryption context"],
] as const)("does not start where the provider lies by %s, and says what it did", async (lie, what) => {
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

it("refuses a provider that began to lie, names it in Status, metrics and log, and goes on once a probe passes", async () => {
  const service = await startOutageService();
  onTestFinished(service.close);
  const { kms, fakes, http, said } = service;
  const [fake] = fakes;
  const encrypt = (tenantId: string) =>
    kms.encryptPii({ tenantId, fields: [{ name: "email", value: Buffer.from("ann@example.com") }] });
  await encrypt("acme");
  await fake.fault({ lie: "zero-key" });
  await encrypt("acme"); // from the cache, and nobody knows
  const refusal = { code: status.FAILED_PRECONDITION, message: expect.stringContaining("it made a data key of zeros") };
  expect(await failureOf(encrypt("newcomer"))).toMatchObject(refusal);
  expect(await failureOf(encrypt("acme"))).toMatchObject(refusal);

  const seen = await kms.status({});
  expect(seen.status).toBe(Health.DOWN);
  expect(seen.notices).toContain("The provider aws is not to be trusted: it made a data key of zeros.");
  expect(seen.providerKeys).toMatchObject([
    { condition: ProviderCondition.DENIED, detail: "not to be trusted: it made a data key of zeros" },
  ]);
  const metrics = await (await fetch(`${http}/q/metrics`)).text();
  expect(metrics).toMatch(/^kms_provider_lies_total\{lie="zero-key"[^}]*\} 1$/m);
  expect(metrics).toMatch(/^kms_provider_lies_total\{lie="wrong-context"[^}]*\} 0$/m);
  expect(JSON.parse(await said(/provider aws is denied/))).toMatchObject({ level: 50, lie: "zero-key" });

  await fake.heal();
  await said(/provider aws is answering/);
  await encrypt("acme");
  expect((await kms.status({})).status).toBe(Health.OPERATIONAL);
});
