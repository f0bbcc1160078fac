/** Fakes of AWS KMS and providers on them, closed after each file. */
import { afterAll, beforeAll, vi } from "vitest";
import { openAws } from "../../src/provider/aws.ts";
import type { Places } from "../../src/provider/registry.ts";
import { type AwsKmsFake, type FakeKey, startAwsKms } from "../fakes/aws-kms.ts";

/** What the SDK's default chain finds, and nothing of the machine's own. */
export function useCredentials(): void {
  beforeAll(() => {
    withoutCredentials();
    vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
  });
  afterAll(() => void vi.unstubAllEnvs());
}

export function withoutCredentials(): void {
  for (const name of Object.keys(process.env).filter((name) => name.startsWith("AWS_"))) vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
  vi.stubEnv("AWS_CONFIG_FILE", "/dev/null");
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
}

export async function twoKeys(): Promise<{ kms: AwsKmsFake; key: FakeKey; other: FakeKey }> {
  const kms = await startAwsKms({ region: "eu-west-1" });
  return { kms, key: kms.createKey(), other: kms.createKey() };
}

/** A provider with one place for each server. */
export function openOn(
  servers: readonly { region: string; url: string }[],
  ...masterKeyIds: string[]
): Promise<Places> {
  const [first, ...others] = servers.map(({ region, url }, at) => ({
    region,
    endpoint: url,
    masterKeyId: masterKeyIds[at] ?? masterKeyIds[0]!,
  }));
  return openAws({ name: "aws", places: [first!, ...others], profile: undefined });
}
