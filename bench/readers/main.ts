/** Callers who read in a loop, and the calls of another tenant beside them: do all succeed, and how much longer does the slowest hundredth take? */
import { create, type DescMethod, toBinary } from "@bufbuild/protobuf";
import { join } from "node:path";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { openLocal } from "../../src/provider/local/open.ts";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { openStore, type StoreSettings } from "../../src/store/registry.ts";
import { filledLog } from "../../test/support/filled-log.ts";
import { fillTrail } from "../../test/support/filled-trail.ts";
import { type Beside, msText, ratioText, takeBeside } from "../beside.ts";
import { type Child, startChild } from "../child.ts";
import { caller } from "../client/caller.ts";
import { aligned } from "../figures.ts";
import { fill, type TenantProviderKeys } from "../growth/fill.ts";
import { type Place, postgresPlace, sqlitePlace } from "../growth/sizes.ts";
import { generateDataKeyRequest, rpc, tenantId } from "../requests.ts";
import { startRotating } from "../rotation/service.ts";
import { temporaryDirectory } from "../temporary.ts";
import type { Question, Read, ReadCall } from "./callers.ts";
import { realTime } from "../../src/runtime/time.ts";

export interface ReadersRow extends Beside {
  store: string;
  call: string;
  callers: number;
  answered: number;
  refused: number;
  readFailure: string | undefined;
}

interface Extent {
  trailRows: number;
  logSize: number;
  sliceMs: number;
  rounds: number;
}

const whole: Extent = { trailRows: 100_000, logSize: 100_000, sliceMs: 5_000, rounds: 3 };
/** Shows that all of it runs. A hundredth of so few calls is one of them. */
const short: Extent = { trailRows: 10_000, logSize: 10_000, sliceMs: 1_000, rounds: 1 };

const readTenant = "tenant-0";
const callsPerSecond = 100;
const callerCounts = [8, 40];
const target = 3;

const reads: readonly [DescMethod, object][] = [
  [KeyAdminService.method.verifyAudit, {}],
  [KeyAdminService.method.listAuditEvents, {}],
  [KeyAdminService.method.listKeys, {}],
  [KmsService.method.status, {}],
  [KmsService.method.getPublicKeys, { tenantId: readTenant }],
  [LogService.method.getCheckpoint, { tenantId: readTenant }],
  [LogService.method.getInclusionProof, { tenantId: readTenant, leafIndex: 1_234n }],
  [LogService.method.getConsistencyProof, { tenantId: readTenant, fromSize: 1_234n }],
];
const tilePath = `/api/kms/tenants/${readTenant}/log/tile/entries/007`;

export async function readers({ isShort = false } = {}): Promise<ReadersRow[]> {
  const extent = isShort ? short : whole;
  const rows: ReadersRow[] = [];
  for (const open of [sqlitePlace, postgresPlace]) {
    const place = await open();
    if (place === undefined) {
      console.log("\nSKIPPED: readers of PostgreSQL, because there is no server for this machine");
      continue;
    }
    try {
      rows.push(...(await measure(place, extent)));
    } finally {
      await place.close();
    }
  }
  console.log(`\n${callsPerSecond} GenerateDataKey a second beside readers of a trail of ${extent.trailRows} rows\n`);
  console.log(aligned(tableOf(rows)));
  return rows;
}

async function measure(place: Place, extent: Extent): Promise<ReadersRow[]> {
  const settings = await place.settings("readers");
  const masterKeyFile = join(temporaryDirectory(), "master.key");
  await fillStore(settings, masterKeyFile, extent);
  const where =
    settings.name === "postgres"
      ? { FLUO_KMS_POSTGRES_URL: settings.url }
      : { FLUO_KMS_SQLITE_FILE: (settings as Extract<StoreSettings, { name: "sqlite" }>).file };
  const service = await startRotating({
    FLUO_KMS_STORE: settings.name,
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: masterKeyFile,
    KMS_ROTATION_ENABLED: "false",
    ...where,
  });
  const child = startChild("./readers/callers.ts");
  const rows: ReadersRow[] = [];
  const { grpcPort: port, http } = service;
  const calls: [string, ReadCall][] = reads.map(([method, fields]) => [
    method.name,
    {
      port,
      path: `/${method.parent.typeName}/${method.name}`,
      request: toBinary(method.input, create(method.input, fields as never)),
    },
  ]);
  calls.push(["tile", { url: `${http}${tilePath}` }]);
  for (const [name, call] of calls) {
    for (const callers of callerCounts) {
      rows.push(await measureRow(child, { store: place.name, port, name, call, callers, extent }));
      console.log(
        aligned(tableOf(rows.slice(-1)))
          .split("\n")
          .at(-1),
      );
    }
  }
  await child.stop();
  await service.stop();
  return rows;
}

async function fillStore(
  settings: StoreSettings,
  masterKeyFile: string,
  { trailRows, logSize }: Extent,
): Promise<void> {
  const provider = await openLocal({ name: "local", masterKeyFile });
  const tenants = Array.from({ length: 1_000 }, (_, index): TenantProviderKeys => {
    return { tenantId: `tenant-${index}`, purposes: ["data", "signing"], versions: 1, activatedAt: new Date() };
  });
  await fill(settings, provider, tenants);
  const store = await unlockStore(await openStore(settings, realTime), providerKeys({ current: provider }), realTime);
  await fillTrail(store, trailRows, readTenant);
  await filledLog(store, logSize, { tenantId: readTenant });
  await store.close();
}

interface RowOptions {
  store: string;
  /** Port of gRPC. */
  port: number;
  name: string;
  call: ReadCall;
  callers: number;
  extent: Extent;
}

async function measureRow(child: Child, options: RowOptions): Promise<ReadersRow> {
  const { store, port, name, call, callers, extent } = options;
  const total = { answered: 0, refused: 0, readFailure: undefined as string | undefined };
  const steady = {
    connect: () => caller(port),
    path: rpc("GenerateDataKey"),
    request: generateDataKeyRequest(),
    perSecond: callsPerSecond,
  };
  const others = {
    begin: () => child.ask<void>({ begin: { call, callers } } satisfies Question),
    async end() {
      const read = await child.ask<Read>({ end: true } satisfies Question);
      total.answered += read.answered;
      total.refused += read.refused;
      total.readFailure ??= read.failure;
    },
  };
  const noticed = await takeBeside(steady, others, extent);
  return { store, call: name, callers, ...noticed, ...total };
}

function tableOf(rows: readonly ReadersRow[]): string[][] {
  const head = ["store", "in a loop", "callers", `calls of ${tenantId}`, "failed", "p99 without", "p99 beside"];
  return [
    [...head, "ratio", "target", "reads", "refused", "failed"],
    ...rows.map((row) => [
      row.store,
      row.call,
      String(row.callers),
      String(row.calls),
      String(row.failed),
      msText(row.alone),
      msText(row.beside),
      ratioText(row.ratio),
      `${target} x`,
      String(row.answered),
      String(row.refused),
      row.readFailure ?? "0",
    ]),
  ];
}
