/** Fakes of AWS KMS, and providers on them or on any other server that speaks its API. */
import { afterAll, beforeAll, vi } from "vitest";
import { openAws } from "../../src/provider/aws/open.ts";
import type { Regions } from "../../src/provider/provider.ts";
import { type AwsKmsFake, type AwsKmsOptions, type FakeKey, startAwsKms } from "../fakes/aws-kms.ts";
import { realTime } from "../../src/runtime/time.ts";

export const context = { tenant_id: "acme", purpose: "data" };

/** What the SDK's default chain finds in a test, and nothing of the machine's own. */
export function useCredentials(): void {
  beforeAll(() => {
    withoutCredentials();
    vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
  });
  afterAll(() => {
    vi.unstubAllEnvs();
  });
}

export function withoutCredentials(): void {
  for (const name of Object.keys(process.env).filter((name) => name.startsWith("AWS_"))) vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
  vi.stubEnv("AWS_CONFIG_FILE", "/dev/null");
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
}

/** A fake for the file it is called in. */
export async function startFake(region = "eu-west-1", time: AwsKmsOptions["time"] = realTime): Promise<AwsKmsFake> {
  const kms = await startAwsKms({ region, time });
  fakes.push(kms);
  return kms;
}

const fakes: AwsKmsFake[] = [];

afterAll(async () => {
  await Promise.all(fakes.splice(0).map((kms) => kms.close()));
});

/** Two regions of one key. */
export async function twoRegions() {
  const [ireland, frankfurt] = [await startFake("eu-west-1"), await startFake("eu-central-1")];
  const key = ireland.createKey({ multiRegion: true });
  return { ireland, frankfurt, key, replica: frankfurt.createKey({ replicaOf: key }) };
}

/** A provider with one place for each server. */
export function openOn(
  servers: readonly { region: string; url: string }[],
  ...masterKeyIds: readonly string[]
): Promise<Regions> {
  const [first, ...others] = servers.map(({ region, url }, at) => ({
    region,
    endpoint: url,
    masterKeyId: masterKeyIds[at] ?? masterKeyIds[0]!,
  }));
  return openAws({ name: "aws", places: [first!, ...others], profile: undefined }, realTime);
}

/** A provider on a fake of its own. */
export async function openedOnFake({ time = realTime }: Pick<AwsKmsOptions, "time"> = {}) {
  const kms = await startFake("eu-west-1", time);
  const key: FakeKey = kms.createKey();
  const [provider] = await openOn([kms], key.arn);
  return { kms, key, provider };
}
