/** A stop that callers do not notice: one of two replicas behind a balancer, and one whose provider hangs. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { EncryptPiiRequestSchema } from "../gen/ts/fluo/kms/v1/pii_pb.ts";
import { startOutageService } from "./outage/service.ts";
import { type Balancer, startBalancer } from "./support/balancer.ts";
import { sharedPostgres } from "./support/shared-postgres.ts";
import { failureOf } from "./support/running-service.ts";
import { type ServiceProcess, startProcess } from "./support/service-process.ts";

const fields = [{ name: "email", value: Buffer.from("ann@example.com") }];
/** The delay before the drain, which ends when a test says so. */
const delayMs = 8_000;
const preload = [join(import.meta.dirname, "held-delay.ts")];
const held = { FLUO_KMS_SHUTDOWN_DELAY: `${delayMs}ms`, FLUO_HELD_MS: String(delayMs) };

function endDelay({ child }: ServiceProcess): void {
  child.kill("SIGUSR2");
}

/** Between two calls of one of the two clients, which makes 200 a second of both. */
const everyMs = 10;

const message = toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, { tenantId: "acme", fields }));
const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);

/** By HTTP/2 itself: a library of gRPC would try again what a server that leaves has refused. */
async function overGrpc(balancer: Balancer): Promise<void> {
  const session = connect(`http://${balancer.next().grpc}`);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": "/fluo.kms.v1.KmsService/EncryptPii",
      "content-type": "application/grpc",
      te: "trailers",
    });
    session.on("error", (error) => stream.destroy(error));
    const trailers = once(stream, "trailers");
    stream.resume().end(framed);
    const [{ "grpc-status": status }] = await trailers;
    if (status !== "0") throw new Error(`grpc-status ${status}`);
  } finally {
    session.close();
  }
}

async function overHttp(balancer: Balancer): Promise<void> {
  const sent = request(`${balancer.next().http}/fluo.kms.v1.KmsService/EncryptPii`, {
    method: "POST",
    agent: false,
    headers: { "content-type": "application/json" },
  });
  sent.end(JSON.stringify({ tenantId: "acme", fields: [{ name: "email", value: "YW5u" }] }));
  const [answer] = await once(sent, "response");
  const body = await text(answer);
  if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${body}`);
}

/** Calls over new connections, at their times whether or not earlier ones are answered. */
function load(balancer: Balancer) {
  const calls: Promise<void>[] = [];
  const failures: string[] = [];
  let running = true;
  async function client(call: (balancer: Balancer) => Promise<void>): Promise<void> {
    while (running) {
      calls.push(call(balancer).catch((error) => void failures.push(String(error))));
      await delay(everyMs);
    }
  }
  const clients = [client(overGrpc), client(overHttp)];
  return {
    failures,
    /** Resolves after so many more calls, and when all before them are answered. */
    async more(count: number) {
      const enough = calls.length + count;
      await expect.poll(() => calls.length).toBeGreaterThan(enough);
      await Promise.all(calls);
    },
    async end() {
      running = false;
      await Promise.all(clients);
      await Promise.all(calls);
    },
  };
}

/** Two replicas under load; `leaving` is the one that a test ends. */
async function twoUnderLoad(env: Record<string, string>) {
  const directory = mkdtempSync(join(tmpdir(), "fluo-kms-shutdown-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const postgres = await sharedPostgres();
  onTestFinished(postgres.close);
  const all = {
    FLUO_KMS_STORE: "postgres",
    FLUO_KMS_POSTGRES_URL: await postgres.createDatabase(),
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(directory, "master.key"),
    ...env,
  };
  const leaving = await startProcess(all, { cwd: directory, preload });
  const staying = await startProcess(all, { cwd: directory, preload });
  const balancer = startBalancer([leaving, staying]);
  const calling = load(balancer);
  await calling.more(50);
  return {
    leaving,
    calling,
    balancer,
    async end() {
      await calling.end();
      await balancer.close();
      staying.child.kill("SIGTERM");
      if (env === held) await staying.said(/not ready any more/);
      endDelay(staying);
      expect((await staying.ended).code).toBe(0);
    },
  };
}

it("loses no call of clients that a balancer sends on, if the balancer learns of the stop within the delay", async () => {
  const { leaving, calling, balancer, end } = await twoUnderLoad(held);
  leaving.child.kill("SIGTERM");
  await expect.poll(balancer.size).toBe(1);
  await calling.more(50); // those before it went to either
  endDelay(leaving);
  expect((await leaving.ended).code).toBe(0);
  await calling.more(50);
  await end();
  expect(calling.failures).toEqual([]);
});

it("loses calls without a delay", async () => {
  const { leaving, calling, end } = await twoUnderLoad({ FLUO_KMS_SHUTDOWN_DELAY: "0s" });
  leaving.child.kill("SIGTERM");
  expect((await leaving.ended).code).toBe(0);
  await expect.poll(() => calling.failures.length).toBeGreaterThan(0);
  await end();
});

it("is cut short by a second signal", async () => {
  const service = await startProcess({ FLUO_KMS_SHUTDOWN_DELAY: "5m" });
  service.child.kill("SIGTERM");
  await service.said(/not ready any more/);
  service.child.kill("SIGTERM");
  expect(await service.ended).toEqual({ code: 1, err: "" });
});

it("ends with the last uses audited, though the provider hangs", async () => {
  const service = await startOutageService({ env: { FLUO_KMS_SHUTDOWN_GRACE: "1s" } });
  onTestFinished(() => service.close());
  const { kms, fakes } = service;
  await kms.encryptPii({ tenantId: "acme", fields });
  await fakes[0].fault({ mode: "hanging" });
  const waiting = failureOf(kms.encryptPii({ tenantId: "other", fields }));
  for (let n = 0; n < 10; n += 1) await kms.encryptPii({ tenantId: "acme", fields });
  service.child.kill("SIGTERM");
  // In which time is tested with a clock, by shutdown-order.test.ts.
  expect((await service.ended).code).toBe(0);
  await waiting;
  const db = new DatabaseSync(service.env.FLUO_KMS_SQLITE_FILE!, { readOnly: true });
  onTestFinished(() => db.close());
  const { uses } = db
    .prepare("select sum(count) as uses from kms_audit where tenant_id = 'acme' and action = 'encrypt_pii'")
    .get() as { uses: number };
  expect(uses).toBe(11);
});
