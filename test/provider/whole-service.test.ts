/** The whole service with its master key in AWS KMS, as the fake has it. The real peers' turn is in test/providers. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type AwsKmsFake, startAwsKms } from "../fakes/aws-kms.ts";
import { liveThrough, type ServiceEnv } from "../whole-service.ts";

let kms: AwsKmsFake;
beforeAll(async () => {
  kms = await startAwsKms({ region: "eu-west-1" });
});
afterAll(() => kms.close());

function awsEnv(masterKeyId: string): ServiceEnv {
  return {
    FLUO_KMS_PROVIDER: "aws",
    FLUO_KMS_SQLITE_FILE: join(mkdtempSync(join(tmpdir(), "fluo-kms-whole-")), "kms.db"),
    AWS_KMS_MASTER_KEY_ID: masterKeyId,
    AWS_KMS_REGION: kms.region,
    AWS_KMS_ENDPOINT: kms.url,
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: "secret",
  };
}

it("lives through a restart on AWS KMS, by the quickstart's names for its settings", async () => {
  const key = kms.createKey();
  kms.alias("alias/fluo-kms", key);
  await liveThrough(awsEnv("alias/fluo-kms"));
  expect(kms.decryptsWithoutKeyId).toBe(0);
});
