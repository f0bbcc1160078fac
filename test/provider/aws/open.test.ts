/** What stops the aws provider at start, in the words of its settings, and where it finds its region and credentials. */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openAws } from "../../../src/provider/aws/open.ts";
import { awsError } from "../../../src/provider/aws/errors.ts";
import { realTime } from "../../../src/runtime/time.ts";
import type { AwsKmsFake } from "../../fakes/aws-kms.ts";
import { thrownBy } from "../../support/matchers.ts";
import { openOn, startFake, twoRegions, useCredentials, withoutCredentials } from "../../support/aws-fixture.ts";
import { fromNow, msFromNow } from "../../support/from-now.ts";

useCredentials();
afterEach(() => {
  vi.useRealTimers();
});

function adviceOf(error: unknown): string | undefined {
  return (error as { advice?: string }).advice;
}

describe("at start, refused is", () => {
  it("a key that does not exist, with what to check", async () => {
    const kms = await startFake();
    for (const id of [
      "1234abcd-12ab-34cd-56ef-1234567890ab",
      "alias/none",
      "arn:aws:kms:eu-west-1:111122223333:key/none",
    ]) {
      const error = await thrownBy(() => openOn([kms], id));
      expect(error).toBeKmsError("PROVIDER_DENIED", "the provider's key does not exist");
      expect(adviceOf(error)).toContain(`aws.kms.master-key-id (${id}), that aws.kms.region (eu-west-1)`);
    }
    await kms.until(() => kms.connections === 0);
  });

  it("a key that may not be described, with the statement that allows it, by the ARN behind an alias", async () => {
    const kms = await startFake();
    const key = kms.createKey();
    kms.alias("alias/fluo", key);
    kms.deny(({ operation }) => operation === "DescribeKey");
    const error = await thrownBy(() => openOn([kms], "alias/fluo"));
    expect(error).toBeKmsError("PROVIDER_DENIED", "the provider denies access to its key");
    expect(adviceOf(error)).toContain(`{"Effect":"Allow","Action":"kms:DescribeKey","Resource":"${key.arn}"}`);
  });

  it.each([
    { usage: "SIGN_VERIFY", spec: "ECC_NIST_P256" },
    { usage: "GENERATE_VERIFY_MAC", spec: "HMAC_256" },
    { usage: "ENCRYPT_DECRYPT", spec: "RSA_4096" },
  ] as const)("a key of another kind: $usage, $spec", async (kind) => {
    const kms = await startFake();
    const error = await thrownBy(() => openOn([kms], kms.createKey(kind).id));
    expect(error).toBeKmsError("INVALID_ARGUMENT", "aws.kms.master-key-id");
    expect(error).toBeKmsError("INVALID_ARGUMENT", `${kind.usage}, ${kind.spec}`);
  });

  it("an ARN of another region than the place's", async () => {
    const { ireland, frankfurt, key, replica } = await twoRegions();
    const first = await thrownBy(() => openOn([ireland], replica.arn));
    expect(first).toBeKmsError("INVALID_ARGUMENT", "aws.kms.master-key-id");
    const second = await thrownBy(() => openOn([ireland, frankfurt], key.arn, key.arn));
    expect(second).toBeKmsError("INVALID_ARGUMENT", "aws.kms.failover");
    expect(ireland.calls).toEqual({});
  });

  it("failover with a key of one region, with another key, or to the same region", async () => {
    const { ireland, frankfurt, key } = await twoRegions();
    const other = ireland.createKey({ multiRegion: true });
    const alone = ireland.createKey();
    for (const [servers, ids, about] of [
      [[ireland, frankfurt], [alone.id], "is in one region only"],
      [[ireland, frankfurt], [key.id, other.id], `is not a replica of arn:aws:kms:*:111122223333:key/${key.id}`],
      [[ireland, ireland], [key.id], "names eu-west-1 twice"],
    ] as [AwsKmsFake[], string[], string][]) {
      const error = await thrownBy(() => openOn(servers, ...ids));
      expect(error).toBeKmsError("INVALID_ARGUMENT", "aws.kms.failover");
      expect(error).toBeKmsError("INVALID_ARGUMENT", about);
    }
  });

  it("nobody who answers", async () => {
    const { ireland, frankfurt, key } = await twoRegions();
    await ireland.fault({ mode: "refused" });
    await frankfurt.fault({ mode: "503" });
    const error = await thrownBy(() => openOn([ireland, frankfurt], key.id));
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect(adviceOf(error)).toContain("AWS KMS of eu-west-1, eu-central-1 gives no answer");
    await frankfurt.heal();
    const [, second] = await openOn([ireland, frankfurt], key.id);
    expect((await second!.describe()).state).toBe("enabled");
  });

  it("nobody who listens, and says so", async () => {
    const kms = await startFake();
    const key = kms.createKey();
    await kms.fault({ mode: "refused" });
    const error = await thrownBy(() => openOn([kms], key.id));
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "cannot be reached");
    expect(adviceOf(error)).toContain("AWS KMS of eu-west-1 gives no answer (ECONNREFUSED)");
  });

  it("nobody who answers in time", async () => {
    const kms = await startFake();
    const key = kms.createKey();
    await kms.fault({ mode: "hanging" });
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const error = thrownBy(() => openOn([kms], key.id));
    await kms.until(() => kms.inFlight === 1);
    vi.advanceTimersByTime(5_000);
    expect(await error).toBeKmsError("PROVIDER_UNAVAILABLE", "did not answer in time");
    await kms.until(() => kms.connections === 0);
  });
});

describe("the region", () => {
  it("is AWS_REGION's where none is configured, and without one the setting is named", async () => {
    const kms = await startFake("eu-north-1");
    const place = { region: undefined, masterKeyId: kms.createKey().id, endpoint: kms.url };
    const open = () => openAws({ name: "aws", places: [place], profile: undefined }, realTime);
    const error = await thrownBy(open);
    expect(error).toBeKmsError("INVALID_ARGUMENT", "aws.kms.region");
    expect(error).toBeKmsError("INVALID_ARGUMENT", "set it, or AWS_REGION");
    vi.stubEnv("AWS_REGION", "eu north");
    expect(await thrownBy(open)).toBeKmsError("INVALID_ARGUMENT", "aws.kms.region: is not a region's name");
    vi.stubEnv("AWS_REGION", "eu-north-1");
    const [provider] = await open();
    expect(provider.region).toBe("eu-north-1");
    vi.stubEnv("AWS_REGION", undefined);
  });
});

describe("the endpoint", () => {
  it("is that of the configuration alone: one in the environment, perhaps without TLS, is never called", async () => {
    const kms = await startFake();
    vi.stubEnv("AWS_ENDPOINT_URL", kms.url);
    vi.stubEnv("AWS_ENDPOINT_URL_KMS", kms.url);
    const place = { region: "xx-nowhere-1", masterKeyId: kms.createKey().id, endpoint: undefined }; // a name that nobody serves
    const error = await thrownBy(() => openAws({ name: "aws", places: [place], profile: undefined }, realTime));
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect(kms.calls).toEqual({});
    vi.stubEnv("AWS_ENDPOINT_URL", undefined);
    vi.stubEnv("AWS_ENDPOINT_URL_KMS", undefined);
  });
});

describe("the credentials", () => {
  afterEach(() => {
    withoutCredentials();
    vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
  });

  it("are those of the profile, with its region, and a profile that is not there is refused", async () => {
    const directory = await mkdtemp(join(tmpdir(), "fluo-kms-"));
    const file = join(directory, "credentials");
    const profile = "[kms]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = secret\nregion = eu-south-1\n";
    await writeFile(file, profile);
    withoutCredentials();
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", file);
    const kms = await startFake("eu-south-1");
    const open = (name: string, region?: string) =>
      openAws(
        {
          name: "aws",
          places: [{ region, masterKeyId: kms.createKey().id, endpoint: kms.url }],
          profile: name,
        },
        realTime,
      );
    expect((await open("kms"))[0].region).toBe("eu-south-1");
    expect(await thrownBy(() => open("none", "eu-south-1"))).toBeKmsError("PROVIDER_DENIED", "no credentials");
    await rm(directory, { recursive: true });
  });

  it("are missed at once, with how to give them", async () => {
    withoutCredentials();
    const kms = await startFake();
    const error = await thrownBy(() => openOn([kms], kms.createKey().id));
    expect(error).toBeKmsError("PROVIDER_DENIED", "there are no credentials for the provider");
    expect(adviceOf(error)).toContain("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    expect(kms.calls).toEqual({});
  });

  it("tell when they end, if they do, and when they were seen first", async () => {
    const kms = await startFake();
    const key = kms.createKey().id;
    const [endless] = await openOn([kms], key);
    const until = fromNow(3_600_000);
    vi.stubEnv("AWS_CREDENTIAL_EXPIRATION", until.toISOString());
    const [provider] = await openOn([kms], key);
    const known = provider.credential!()!;
    expect(known.until).toEqual(until);
    expect(known.since.getTime()).toBeLessThanOrEqual(msFromNow(0));
    await provider.describe();
    expect(provider.credential!()).toEqual(known);
    expect(endless.credential!()).toBeUndefined();
  });

  it("come back, where they were there before or their source is slow", () => {
    const gone = Object.assign(new Error("Could not load credentials from any providers"), {
      name: "CredentialsProviderError",
    });
    const slow = Object.assign(new Error("Error: Socket timed out"), { name: "CredentialsProviderError" });
    const call = { action: "Decrypt", key: "arn", region: "eu-west-1" } as const;
    expect(awsError(gone, call, false)).toBeKmsError("PROVIDER_DENIED");
    expect(awsError(gone, call, true)).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect(awsError(slow, call, false)).toBeKmsError("PROVIDER_UNAVAILABLE");
  });

  it("are not waited for past the time that a start has", async () => {
    const source = createServer().listen(0, "127.0.0.1");
    await once(source, "listening");
    const kms = await startFake();
    withoutCredentials();
    const { port } = source.address() as AddressInfo;
    vi.stubEnv("AWS_CONTAINER_CREDENTIALS_FULL_URI", `http://127.0.0.1:${port}/credentials`);
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {}); // the SDK's own, of a source that is slow
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const opening = thrownBy(() => openOn([kms], kms.createKey().id));
    const [socket] = (await once(source, "connection")) as [Socket];
    vi.advanceTimersByTime(5_000);
    expect(await opening).toBeKmsError("PROVIDER_UNAVAILABLE", "did not answer in time");
    expect(kms.calls).toEqual({});
    vi.useRealTimers();
    socket.destroy();
    source.close();
    warned.mockRestore();
  });
});
