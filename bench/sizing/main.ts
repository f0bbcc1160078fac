/** What a signature costs the service and PostgreSQL by each way to ask for it: docs/SIZING.md reckons with it. */
import { strict as assert } from "node:assert";
import { fromJsonString, toBinary, toJsonString, fromBinary } from "@bufbuild/protobuf";
import { SignSpanRequestSchema, SignSpanResponseSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { postgresAvailable } from "../../test/support/postgres-cluster.ts";
import { startPostgres } from "../../test/support/postgres-server.ts";
import { createWorld, type World } from "../auth/credentials.ts";
import { type Check, checks } from "../checks.ts";
import { caller } from "../client/caller.ts";
import { type LoadClient, startClient } from "../client/client.ts";
import type { Exchange } from "../client/load.ts";
import { aligned, digits, ratios, type Spread, spread, textOf } from "../figures.ts";
import { canWatch, watchMemory } from "../memory/resident.ts";
import { rpc, tenantId } from "../requests.ts";
import { type Service, startService } from "../server/server.ts";
import { cpuAnItem, type Sample, type Take } from "../slice.ts";
import { signSpanRequests } from "../spans.ts";
import { callsAtOnce, type StreamShape, subjectsOf, usualBatches } from "../subjects.ts";
import { cpuMicrosOf } from "./proc.ts";
import { meterOf, type PostgresMeter, type PostgresUse } from "./postgres.ts";

interface Row {
  title: string;
  service: Service;
  items: number;
  take: Take;
}

interface RowResult {
  title: string;
  cpu: Spread;
  /** Of this, that of the thread that answers calls. */
  mainThread: Spread;
  toSignature: Spread;
  toSignSpan: Spread;
  itemsPerSecond: Spread;
  /** For each item. */
  postgres: Record<keyof PostgresUse, Spread>;
}

const rounds = 3;
const calls = 16_000;
const signaturesASlice = 20_000;
const tenants = Array.from({ length: 64 }, (_, index) => `tenant-${index}`);
const distinct = 1024;
const ed25519SignatureBytes = 64;

export async function sizing(): Promise<RowResult[]> {
  if (!postgresAvailable() || !canWatch) {
    console.log("sizing: skipped, as there is no PostgreSQL for this machine, or no /proc");
    return [];
  }
  const server = await startPostgres({ durable: true });
  const url = await server.createDatabase();
  const world = createWorld();
  const onPostgres = (database: string) => ({ FLUO_KMS_STORE: "postgres", FLUO_KMS_POSTGRES_URL: database });
  const service = await startService({ env: onPostgres(url) });
  const secured = await startService({
    env: { ...onPostgres(await server.createDatabase()), ...world.tls, ...world.underPolicy },
  });
  const client = startClient();
  const memory = watchMemory(service.pid);
  const meter = await meterOf(server.pid, url);
  const rowsOfAll = await rowsFor({ service, secured, world, client });
  try {
    const results = await measure(rowsOfAll.rows, meter);
    console.log(`${aligned(serviceTable(results))}\n\n${aligned(postgresTable(results))}`);
    console.log(`\nresident at most ${digits(memory.resident().kernel)} MiB`);
    return results;
  } finally {
    memory.stop();
    rowsOfAll.close();
    await meter.close();
    await Promise.all([client, service, secured].map(({ stop }) => stop()));
    await server.close();
  }
}

interface Measured {
  service: Service;
  /** With TLS, under a policy. */
  secured: Service;
  world: World;
  client: LoadClient;
}

async function rowsFor({ service, secured, world, client }: Measured): Promise<{ rows: Row[]; close(): void }> {
  const subjects = subjectsOf(service, client);
  const unmeasured = caller(service.port);
  const { signSpan } = checks(unmeasured);
  const port = await service.httpPort();
  const byHttp = (type: string, bodies: readonly Uint8Array[], check: Check): Take => {
    const headers = { "content-type": type, "connect-protocol-version": "1" };
    const load = { over: "http", port, path: rpc("SignSpan"), headers, bodies, calls, atOnce: callsAtOnce } as const;
    return cpuAnItem({ server: service, run: client.load(() => load), items: calls, check });
  };
  const streams = (mode: StreamShape["mode"], shape: Omit<StreamShape, "mode" | "spansABatch">) => ({
    items: shape.streams * shape.batchesEach * usualBatches.spansABatch,
    take: subjects.signSpans({ mode, ...usualBatches, ...shape }),
  });
  const alone = { tenants: [tenantId], ahead: usualBatches.ahead };
  const requests = signSpanRequests(tenantId, distinct);
  const overTls = () => {
    const credentials = { ca: world.ca, authorization: `Bearer ${world.token("RS256", "ann")}` };
    const load = { over: "unary", path: rpc("SignSpan"), bodies: requests, calls, atOnce: callsAtOnce } as const;
    const run = client.load(() => ({ ...load, port: secured.port, credentials }));
    return cpuAnItem({ server: secured, run, items: calls, check: isSigned });
  };
  const rows: Omit<Row, "service">[] = [
    { title: "SignSpan, gRPC", items: calls, take: subjects.signSpan(calls) },
    { title: "SignSpan, Connect, protobuf", items: calls, take: byHttp("application/proto", requests, signSpan) },
    {
      title: "SignSpan, Connect, JSON",
      items: calls,
      take: byHttp("application/json", requests.map(toJson), (exchange) => signSpan(fromJson(exchange))),
    },
    {
      title: "SignSpans INDIVIDUAL, 64 streams",
      ...streams("INDIVIDUAL", { ...alone, streams: 64, atOnce: 64, batchesEach: 12 }),
    },
    {
      title: "SignSpans LOG, 64 streams, 1 tenant",
      ...streams("LOG", { ...alone, streams: 64, atOnce: 64, batchesEach: 24 }),
    },
    {
      title: "SignSpans LOG, 64 streams, 64 tenants",
      ...streams("LOG", { streams: 64, atOnce: 64, batchesEach: 24, ahead: usualBatches.ahead, tenants }),
    },
    {
      title: "SignSpans LOG, 1 stream, a batch at a time",
      ...streams("LOG", { streams: 1, atOnce: 1, batchesEach: 500, ahead: 1, tenants: [tenantId] }),
    },
  ];
  const bySecured = { title: "SignSpan, gRPC, TLS and a token", service: secured, items: calls, take: overTls() };
  return {
    rows: [...rows.map((row) => ({ ...row, service })), bySecured],
    close() {
      subjects.close();
      unmeasured.close();
    },
  };
}

function toJson(request: Uint8Array): Uint8Array {
  return Buffer.from(toJsonString(SignSpanRequestSchema, fromBinary(SignSpanRequestSchema, request)));
}

function fromJson({ request, answers }: Exchange): Exchange {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
  return {
    request: toBinary(SignSpanRequestSchema, fromJsonString(SignSpanRequestSchema, text(request))),
    answers: answers.map((answer) =>
      toBinary(SignSpanResponseSchema, fromJsonString(SignSpanResponseSchema, text(answer))),
    ),
  };
}

async function isSigned({ answers }: Exchange): Promise<void> {
  const { signature } = fromBinary(SignSpanResponseSchema, answers[0]!);
  assert(signature.length === ed25519SignatureBytes, "a signature comes back");
}

/** A round has each row, and bare signatures before each. The first one is to warm up. */
async function measure(rows: readonly Row[], meter: PostgresMeter): Promise<RowResult[]> {
  const taken = rows.map(() => ({
    samples: [] as Sample[],
    mainThread: [] as number[],
    signatures: [] as number[],
    uses: [] as PostgresUse[],
  }));
  for (let round = -1; round < rounds; round += 1) {
    if (round === 0) await meter.sinceLast();
    for (const [index, { take, items, service }] of rows.entries()) {
      const signature = (await service.run("signature", signaturesASlice)) / signaturesASlice;
      if (round < 0) {
        await take(); // to warm up
        continue;
      }
      const mainThread = `${service.pid}/task/${service.pid}`;
      const before = cpuMicrosOf(mainThread);
      const sample = await take();
      taken[index]!.mainThread.push((cpuMicrosOf(mainThread) - before) / items);
      const use = await meter.sinceLast();
      const names = Object.keys(use) as (keyof PostgresUse)[];
      taken[index]!.samples.push(sample);
      taken[index]!.signatures.push(signature);
      taken[index]!.uses.push(
        Object.fromEntries(names.map((name) => [name, use[name] / items])) as unknown as PostgresUse,
      );
    }
  }
  const values = taken.map(({ samples }) => samples.map(({ value }) => value));
  return rows.map(({ title }, index) => {
    const { samples, mainThread, signatures, uses } = taken[index]!;
    const of = (name: keyof PostgresUse) => spread(uses.map((use) => use[name]));
    return {
      title,
      cpu: spread(values[index]!),
      mainThread: spread(mainThread),
      toSignature: ratios(values[index]!, signatures),
      toSignSpan: ratios(values[index]!, values[0]!),
      itemsPerSecond: spread(samples.map(({ throughput }) => throughput!.itemsPerSecond)),
      postgres: {
        cpuMicros: of("cpuMicros"),
        walBytes: of("walBytes"),
        commits: of("commits"),
        walSyncs: of("walSyncs"),
        storedBytes: of("storedBytes"),
      },
    };
  });
}

function serviceTable(results: readonly RowResult[]): string[][] {
  return [
    ["the service, a span", "CPU", "of it the main thread", "to a signature", "to SignSpan by gRPC", "a second"],
    ...results.map(({ title, cpu, mainThread, toSignature, toSignSpan, itemsPerSecond }) => [
      title,
      textOf(cpu, " µs"),
      textOf(mainThread, " µs"),
      textOf(toSignature, " x"),
      textOf(toSignSpan, " x"),
      digits(itemsPerSecond.median),
    ]),
  ];
}

function postgresTable(results: readonly RowResult[]): string[][] {
  return [
    ["PostgreSQL, a span", "CPU", "log, bytes", "stored, bytes", "commits of 1,000", "syncs of 1,000"],
    ...results.map(({ title, postgres: { cpuMicros, walBytes, storedBytes, commits, walSyncs } }) => [
      title,
      textOf(cpuMicros, " µs"),
      textOf(walBytes, ""),
      textOf(storedBytes, ""),
      digits(1_000 * commits.median),
      digits(1_000 * walSyncs.median),
    ]),
  ];
}
