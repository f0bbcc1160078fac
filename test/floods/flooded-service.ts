/** The service as a process of its own, under TLS and a policy, with what tells how it is. */
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { create, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { SignSpanRequestSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { newFolder, startCalled } from "../callers/called-service.ts";
import { fromNow } from "../support/from-now.ts";
import { bearer } from "../support/running-service.ts";
import { tokenPolicy } from "../support/token-policy.ts";
import { sharedKey } from "../support/signed-tokens.ts";
import { batchOf, numberedSpan, signedOf, spansFrom } from "../support/span-batches.ts";
import { openStream } from "../support/stream-client.ts";

export interface FloodedService {
  /** Options of the program: where the service is, and what is asked of it. */
  options: Record<string, string>;
  /** Files of tokens: of the client that is measured, and of a caller with a grant. */
  tokenFiles: Record<"healthy" | "other", string>;
  log: readonly string[];
  /** What is wrong with it, or nothing. */
  problems(): Promise<string[]>;
  memoryBytes(): number;
  threads(): number;
  /** CPU time of all its threads. */
  cpuMs(): number;
  /** Rejects if it does not end well. */
  stop(): Promise<void>;
}

const tenantId = "acme";
const issuer = "https://issuer.example.org";
const [batches, spansABatch] = [8, 100];
const patienceMs = 20_000;
/** pino's level of errors. */
const errorLevel = 50;
/** Ticks a second of /proc, on all machines that Node runs on. */
const ticksASecond = 100;

export async function startFlooded(): Promise<FloodedService> {
  const key = sharedKey("RS256", "k");
  const { text: policy, tokens } = tokenPolicy(
    {
      healthy: { roles: ["sign", "encrypt", "decrypt", "status"] },
      other: { roles: ["sign", "encrypt", "decrypt"] },
    },
    `issuers:\n  - { name: sso, issuer: "${issuer}", jwks-file: jwks.json, audience: fluo-kms }`,
  );
  const jwt = `  - { name: ingest, who: { jwt: { issuer: sso, subject: ingest } }, roles: [sign], tenants: "*" }\n`;
  const folder = newFolder();
  const service = await startCalled(
    folder,
    { "policy.yaml": policy + jwt, "jwks.json": JSON.stringify({ keys: [key.jwk] }) },
    {
      env: {
        FLUO_KMS_STORE: "sqlite",
        FLUO_KMS_SQLITE_FILE: join(folder.dir, "kms.db"),
        FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(folder.dir, "master.key"),
      },
    },
  );
  const { child, log } = service.process;
  const proc = processFiles(child.pid!);
  const span = toBinary(SignSpanRequestSchema, create(SignSpanRequestSchema, { tenantId, span: numberedSpan(1) }));
  return {
    options: {
      grpc: service.grpc,
      http: new URL(service.http).host,
      ca: service.ca,
      issuer,
      kid: key.kid!,
      request: Buffer.from(span).toString("base64"),
    },
    tokenFiles: {
      healthy: folder.write({ "healthy.token": tokens.healthy! }),
      other: folder.write({ "other.token": tokens.other! }),
    },
    log,
    async problems() {
      const looks = [signsBatches(service, tokens.healthy!), isOperational(service, tokens.healthy!)];
      const looked = await Promise.allSettled(looks);
      return [
        ...looked.flatMap((look) => (look.status === "rejected" ? [String(look.reason)] : [])),
        ...log.filter((line) => (JSON.parse(line) as { level: number }).level >= errorLevel),
      ];
    },
    memoryBytes: () => 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(proc.text("status"))?.[1] ?? 0),
    threads: () => proc.list("task").length,
    cpuMs() {
      // Its name is in parentheses, and may hold anything.
      const fields = proc.text("stat").split(") ")[1]?.split(" ") ?? [];
      return ((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1_000) / ticksASecond;
    },
    async stop() {
      const code = await service.process.end();
      const { err } = await service.process.ended;
      if (code !== 0 || err !== "") throw new Error(`the service ended with ${code ?? child.signalCode}: ${err}`);
    },
  };
}

/** What /proc says of a process: nothing once it has ended. */
function processFiles(pid: number) {
  const orElse = <T>(none: T, read: () => T): T => {
    try {
      return read();
    } catch {
      return none;
    }
  };
  return {
    text: (name: string) => orElse("", () => readFileSync(`/proc/${pid}/${name}`, "utf8")),
    list: (name: string) => orElse([], () => readdirSync(`/proc/${pid}/${name}`)),
  };
}

/** Has the threads that sign batches sign some. */
async function signsBatches({ grpc: address, ca }: { grpc: string; ca: string }, token: string): Promise<void> {
  const shown = { credentials: grpc.credentials.createSsl(readFileSync(ca)), metadata: bearer(token) };
  // A name, as grpc-js gives TLS no address to look for.
  const stream = openStream(address.replace("127.0.0.1", "localhost"), { deadline: fromNow(patienceMs) }, {}, shown);
  try {
    for (let at = 0; at < batches; at += 1) {
      const spans = spansFrom(at * spansABatch, (at + 1) * spansABatch);
      await stream.send({ ...batchOf(spans), tenantId });
    }
    stream.halfClose();
    const signed = signedOf(...(await stream.rest())).length;
    if (signed !== batches * spansABatch) throw new Error(`${signed} spans of ${batches * spansABatch} were signed`);
  } finally {
    stream.close();
  }
}

async function isOperational({ http, ca }: { http: string; ca: string }, token: string): Promise<void> {
  const asked = request(new URL("/api/admin/kms/status", http), {
    ca: readFileSync(ca),
    agent: false,
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(patienceMs),
  });
  const body = await new Promise<string>((resolve, reject) => {
    asked.on("response", (response) => text(response).then(resolve, reject));
    asked.on("error", reject).end();
  });
  const { status } = JSON.parse(body) as { status?: string };
  if (!/operational/i.test(status ?? "")) throw new Error(`Status is not operational: ${body}`);
}
