/** Ten thousand keys come due at once, and the service rotates them while a client calls it: what does the client notice? */
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { EncryptPiiRequestSchema } from "../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { openLocal } from "../../src/provider/local/open.ts";
import { fill, type TenantProviderKeys } from "../growth/fill.ts";
import { caller } from "../client/caller.ts";
import { aligned } from "../figures.ts";
import { type OpenLoop, openLoop, quantile } from "./open-loop.ts";
import { type Quantiles, type RotationResult, rotationTable } from "./results.ts";
import { startRotating } from "./service.ts";

const dueTenants = 10_000;
const calledTenants = 100;
const callsPerSecond = 200;
const beforeMs = 30_000;
const batchSize = 100;

/** The pace that is the default, and more than SQLite may be able to. */
const paces = [100, 1000];

export async function rotation(): Promise<RotationResult[]> {
  const results: RotationResult[] = [];
  for (const perSecond of paces) results.push(await rotateAt(perSecond));
  console.log(`\nrotation of ${dueTenants} due keys in SQLite, under ${callsPerSecond} EncryptPii calls a second\n`);
  console.log(aligned(rotationTable(results, dueTenants)));
  return results;
}

export async function rotateAt(perSecond: number, execArgv: string[] = []): Promise<RotationResult> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-bench-"));
  const [file, quietFile, masterKeyFile] = ["kms.db", "quiet.db", "master.key"].map((name) => join(dir, name));
  await fill(
    { name: "sqlite", file: file! },
    await openLocal({ name: "local", masterKeyFile: masterKeyFile! }),
    tenants(),
  );
  copyFileSync(file!, quietFile!);
  const env = { FLUO_KMS_STORE: "sqlite", FLUO_KMS_LOCAL_MASTER_KEY_FILE: masterKeyFile! };
  const planned = new Date(Date.now() + beforeMs);
  const service = await startRotating(
    {
      ...env,
      FLUO_KMS_SQLITE_FILE: file!,
      KMS_ROTATION_CHECK_CRON: `${planned.getUTCSeconds()} ${planned.getUTCMinutes()} ${planned.getUTCHours()} * * ?`,
      KMS_ROTATION_MAX_AGE_DAYS: "1",
      KMS_ROTATION_MAX_PER_SECOND: String(perSecond),
    },
    execArgv,
  );
  const quiet = await startRotating({ ...env, FLUO_KMS_SQLITE_FILE: quietFile!, KMS_ROTATION_ENABLED: "false" });
  const clients = [service, quiet].map(({ grpcPort }) => caller(grpcPort));
  const [calling, control] = clients.map(({ call }) =>
    callCached((request) => call(`/${KmsService.typeName}/EncryptPii`, request)),
  ) as [OpenLoop, OpenLoop];
  const { atMs: endMs } = await service.done;
  await Promise.all([calling.stop(), control.stop()]);
  const status = await statusOf(service.http);
  for (const client of clients) client.close();
  await Promise.all([service.stop(), quiet.stop()]);
  rmSync(dir, { recursive: true, force: true });

  const firstMs = service.batches[0]!.atMs - (1000 * batchSize) / perSecond;
  const [warmMs, marginMs] = [5_000, 2_000];
  const startMs = calling.timed[0]!.atMs + warmMs;
  return {
    perSecond,
    rotated: sum(service.batches.map((batch) => batch.rotated)),
    failed: sum(service.batches.map((batch) => batch.failed)),
    ...status,
    seconds: (endMs - firstMs) / 1000,
    before: between(calling, startMs, firstMs - marginMs),
    during: between(calling, firstMs, endMs),
    quietBefore: between(control, startMs, firstMs - marginMs),
    quietDuring: between(control, firstMs, endMs),
  };
}

function tenants(): TenantProviderKeys[] {
  const [now, dayMs] = [Date.now(), 86_400_000];
  const named = (name: string, count: number, activatedAt: Date): TenantProviderKeys[] =>
    Array.from({ length: count }, (_, index) => {
      return { tenantId: `${name}-${index}`, purposes: ["data"], versions: 1, activatedAt };
    });
  return [...named("due", dueTenants, new Date(now - 2 * dayMs)), ...named("called", calledTenants, new Date(now))];
}

function callCached(call: (request: Uint8Array) => Promise<unknown>): OpenLoop {
  const fields = [{ name: "email", value: new Uint8Array(Buffer.from("anna.schmidt@example.com")) }];
  const requests = Array.from({ length: calledTenants }, (_, index) =>
    toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, { tenantId: `called-${index}`, fields })),
  );
  return openLoop(callsPerSecond, (turn) => call(requests[turn % calledTenants]!));
}

async function statusOf(http: string): Promise<Pick<RotationResult, "due" | "providerCalls">> {
  const response = await fetch(`${http}/${KmsService.typeName}/Status`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const { rotation, cost } = (await response.json()) as {
    rotation: { due?: string };
    cost: { providerCalls: Record<string, string> };
  };
  const calls = Object.entries(cost.providerCalls).map(([name, count]) => [name, Number(count)]);
  return { due: Number(rotation.due ?? 0), providerCalls: Object.fromEntries(calls) };
}

function between({ timed }: OpenLoop, fromMs: number, toMs: number): Quantiles {
  const some = timed.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  return { calls: some.length, p50: quantile(some, 0.5), p99: quantile(some, 0.99) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
