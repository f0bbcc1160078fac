/** The providers of a configuration, opened at AWS KMS as the fake has it. */
import { onTestFinished, expect, it } from "vitest";
import { type NamedProviders, openProviders } from "../../src/provider/open.ts";
import { realTime } from "../../src/runtime/time.ts";
import { startAwsKms } from "../fakes/aws-kms.ts";
import { thrownBy } from "../support/matchers.ts";
import { useCredentials } from "../support/aws-fixture.ts";

useCredentials();

async function twoKeys() {
  const kms = await startAwsKms({ region: "eu-west-1" });
  const settings = (masterKeyId: string): NamedProviders["provider"] => ({
    name: "aws",
    places: [{ region: kms.region, masterKeyId, endpoint: kms.url }],
    profile: undefined,
  });
  const opened: { close(): Promise<void> }[] = [];
  onTestFinished(async () => {
    await Promise.all(opened.map((each) => each.close()));
    await kms.close();
  });
  const open = async (provider: string, other?: string) => {
    const otherProvider = other === undefined ? undefined : settings(other);
    const providers = await openProviders({ provider: settings(provider), otherProvider }, { time: realTime });
    opened.push(...providers);
    return providers;
  };
  return { kms, open, key: kms.createKey().arn, other: kms.createKey().arn };
}

it("are the current one, and the other behind it", async () => {
  const { open, key, other } = await twoKeys();
  expect((await open(key)).map(({ keyId }) => keyId)).toEqual([key]);
  expect((await open(key, other)).map(({ keyId }) => keyId)).toEqual([key, other]);
});

it("are two keys, not one by two names", async () => {
  const { kms, open, key } = await twoKeys();
  expect(await thrownBy(() => open(key, key))).toBeKmsError("INVALID_ARGUMENT", "fluo.kms.other.provider");
  await kms.until(() => kms.connections === 0); // nothing is left open
});

it("open although a request is throttled or lost, but not where the provider stays away, or says no", async () => {
  const { kms, open, key } = await twoKeys();
  kms.once({ error: "ThrottlingException" });
  kms.once("reset");
  expect((await open(key)).map(({ keyId }) => keyId)).toEqual([key]);
  await kms.fault({ mode: "503" });
  expect(await thrownBy(() => open(key))).toBeKmsError("PROVIDER_UNAVAILABLE");
  await kms.heal();
  const asked = kms.calls.DescribeKey!;
  kms.deny(() => true);
  expect(await thrownBy(() => open(key))).toBeKmsError("PROVIDER_DENIED");
  expect(kms.calls.DescribeKey).toBe(asked + 1);
});
