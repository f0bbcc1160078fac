/** What a provider that is not chosen costs: nothing, as its SDK is not loaded. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { Outcome } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { run } from "../support/cli-fixture.ts";
import { awsEnvironment } from "../outage/service.ts";
import { startProcess } from "../support/service-process.ts";

const env = { NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, "refuse-sdks.ts"))}` };

it("no SDK is loaded by a service with the local provider, whatever it is asked", async () => {
  const service = await startProcess(env);
  const { client: kms } = service;
  await kms.generateDataKey({ tenantId: "acme" });
  await kms.rotate({ tenantId: "acme", force: true });
  expect((await kms.validate({})).overall).toBe(Outcome.PASS);
  expect((await fetch(`${service.http}/q/metrics`)).status).toBe(200);
  service.child.kill("SIGTERM");
  expect((await service.ended).code).toBe(0);
});

const aws = { FLUO_KMS_PROVIDER: "aws", AWS_KMS_REGION: "us-east-1", AWS_KMS_MASTER_KEY_ID: "alias/kms" };
const azure = { FLUO_KMS_PROVIDER: "azure", AZURE_KEY_VAULT_KEY: "https://fluo.vault.azure.net/keys/kms" };
const gcp = { FLUO_KMS_PROVIDER: "gcp", GCP_KMS_KEY: "projects/p/locations/l/keyRings/r/cryptoKeys/k" };

it.each([
  ["aws", "@aws-sdk/client-kms", { ...awsEnvironment, ...aws }],
  ["azure", "@azure/", azure],
  ["gcp", "google-auth-library", gcp],
])(
  "one is loaded by a service with the provider %s, so that the test above would notice: %s",
  async (_name, sdk, settings) => {
    const { code, err } = await run([], { env: { ...env, ...settings } });
    expect(code).not.toBe(0);
    expect(err).toContain(`the SDK ${sdk}`);
  },
);
