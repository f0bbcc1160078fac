/** The service as a process, on a SQLite file, over one fake of AWS KMS or the replicas of one key in several; and what it holds. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type AwsKmsFake, type FakeKey, startAwsKms } from "../fakes/aws-kms.ts";
import { type Held as HeldByProcess, heldBy, liveMemory } from "../support/held.ts";
import { hungMs } from "../support/hung.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { type ProcessOptions, type ServiceProcess, startProcess } from "../support/service-process.ts";

export interface OutageService extends ServiceProcess {
  kms: GrpcClient;
  /** In order of preference. */
  fakes: readonly [AwsKmsFake, ...AwsKmsFake[]];
  keys: readonly [FakeKey, ...FakeKey[]];
  held(): Promise<Held>;
  /** The environment of the process, for another one beside it. */
  env: Record<string, string>;
  close(): Promise<void>;
}

/** What the process holds now. */
export interface Held extends HeldByProcess {
  /** Connections to the fakes. */
  connections: number;
}

export interface OutageOptions extends Pick<ProcessOptions, "finished" | "preload"> {
  regions?: readonly [string, ...string[]];
  env?: Record<string, string>;
}

/** No file and no server of the machine's own tells the SDK anything. */
export const awsEnvironment: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "secret",
  AWS_EC2_METADATA_DISABLED: "true",
  AWS_CONFIG_FILE: "/dev/null",
  AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
};

export async function startOutageService({
  regions = ["us-east-1"],
  env = {},
  preload = [],
  ...options
}: OutageOptions = {}): Promise<OutageService> {
  const fakes = await Promise.all(regions.map((region) => startAwsKms({ region })));
  const [first, ...others] = fakes as [AwsKmsFake, ...AwsKmsFake[]];
  const key = first.createKey({ multiRegion: others.length > 0 });
  const replicas = others.map((fake) => fake.createKey({ replicaOf: key }));
  const environment: Record<string, string> = {
    ...awsEnvironment,
    FLUO_KMS_PROVIDER: "aws",
    AWS_KMS_REGION: first.region,
    AWS_KMS_MASTER_KEY_ID: key.arn,
    AWS_KMS_ENDPOINT: first.url,
    ...(replicas.length > 0 && {
      AWS_KMS_FAILOVER: others.map((fake, at) => `${fake.region}=${replicas[at]!.arn}@${fake.url}`).join(","),
    }),
    FLUO_KMS_SQLITE_FILE: join(mkdtempSync(join(tmpdir(), "fluo-kms-outage-")), "kms.db"),
    FLUO_KMS_LOG_LEVEL: "info",
    ...env,
  };
  const service = await startProcess(environment, { ...options, preload: [liveMemory, ...preload] });
  return {
    ...service,
    kms: service.client,
    fakes: [first, ...others],
    keys: [key, ...replicas],
    env: environment,
    held: async () => ({
      ...(await heldBy(service)),
      connections: fakes.reduce((sum, fake) => sum + fake.connections, 0),
    }),
    async close() {
      await service.end();
      await Promise.all(fakes.map((fake) => fake.close()));
    },
  };
}

/** What Status says as soon as `isThere` is true of it; undefined if it hangs. */
export async function statusWhere(
  kms: GrpcClient,
  isThere: (status: Awaited<ReturnType<GrpcClient["status"]>>) => boolean,
  { everyMs = 50 }: { everyMs?: number } = {},
): Promise<Awaited<ReturnType<GrpcClient["status"]>> | undefined> {
  const endsAt = performance.now() + hungMs;
  while (performance.now() < endsAt) {
    const status = await kms.status({});
    if (isThere(status)) return status;
    await delay(everyMs);
  }
  return undefined;
}
