/** Fakes of Cloud KMS, and providers on them with the credentials of the metadata server. */
import { afterAll, beforeAll, vi } from "vitest";
import { openGcp } from "../../src/provider/gcp/open.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { type GcpKmsFake, startGcpKms } from "../fakes/gcp-kms.ts";
import type { FakeKey } from "../fakes/gcp-kms-rules.ts";
import { realTime, type Time } from "../../src/runtime/time.ts";

export const context = { tenant_id: "acme", purpose: "data", key_id: "00112233445566778899aabbccddeeff" };

const opened: Provider[] = [];
const fakes: GcpKmsFake[] = [];

/** Nothing of the machine's own tells the library anything. */
export const noCredentials: Readonly<Record<string, string>> = {
  HOME: "/nonexistent",
  CLOUDSDK_CONFIG: "/nonexistent",
  GOOGLE_APPLICATION_CREDENTIALS: "",
  GOOGLE_CLOUD_QUOTA_PROJECT: "",
  GCE_METADATA_IP: "",
  GCE_METADATA_HOST: "",
  METADATA_SERVER_DETECTION: "",
  HTTPS_PROXY: "",
  NO_PROXY: "",
};

/** For a file of tests. Each fake started with `startFake` is the machine's metadata server from then on. */
export function useMetadataServer(): void {
  beforeAll(() => {
    for (const [name, value] of Object.entries(noCredentials)) vi.stubEnv(name, value);
  });
  afterAll(async () => {
    await Promise.all(opened.splice(0).map((provider) => provider.close()));
    await Promise.all(fakes.splice(0).map((kms) => kms.close()));
    vi.unstubAllEnvs();
  });
}

export async function startFake(tls?: { key: Buffer; cert: Buffer }): Promise<GcpKmsFake> {
  const kms = await startGcpKms(tls);
  fakes.push(kms);
  vi.stubEnv("GCE_METADATA_HOST", kms.host);
  return kms;
}

export async function open(
  kms: GcpKmsFake,
  key: FakeKey,
  over?: Parameters<GcpKmsFake["settings"]>[1],
  time: Time = realTime,
) {
  const provider = await openGcp(kms.settings(key, over), time);
  opened.push(provider);
  return provider;
}

/** A provider on a fake of its own. */
export async function openedOnFake(over?: Parameters<GcpKmsFake["createKey"]>[0]) {
  const kms = await startFake();
  const key = kms.createKey(over);
  return { kms, key, provider: await open(kms, key) };
}
