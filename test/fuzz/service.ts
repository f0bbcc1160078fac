/** The service as a process of its own, with a store in memory: what its log says of calls that failed, and how it ended. */
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { startProcess } from "../support/service-process.ts";
import type { Samples } from "./random-message.ts";

export interface FuzzedService {
  /** `127.0.0.1:port` of gRPC. */
  grpc: string;
  httpPort: number;
  /** Calls that failed by the log, by their codes. */
  failed: ReadonlyMap<string, number>;
  /** Resolves when `holds` is true, looking after each line of the log; false after `ms`. */
  until(holds: () => boolean, ms: number): Promise<boolean>;
  /** By the counter in the metrics. */
  counted(): Promise<Map<string, number>>;
  /** Lines that tell of bugs, and that the process has ended before it was asked. */
  problems: readonly string[];
  stop(): Promise<void>;
}

export async function startFuzzed(): Promise<FuzzedService> {
  const failed = new Map<string, number>();
  const problems: string[] = [];
  const looking = new Set<() => void>();
  const lookAgain = () => {
    for (const look of looking) look();
  };
  const ends: (() => void)[] = [];
  const endAll = () => {
    for (const end of ends) end();
  };
  process.once("exit", endAll);
  const service = await startProcess(
    {},
    {
      finished: (end) => ends.push(end),
      onLine(line) {
        const { msg, code, level } = JSON.parse(line) as { msg: string; code?: string; level: number };
        if (msg.startsWith("call failed")) failed.set(code!, (failed.get(code!) ?? 0) + 1);
        if (level >= 50 || /a bug/.test(msg)) problems.push(line);
        lookAgain();
      },
    },
  );
  let stopping = false;
  const ended = service.ended.then(({ code, err }) => {
    const { signalCode } = service.child;
    if (!stopping || code !== 0 || err !== "") problems.push(`the service ended with ${code ?? signalCode}: ${err}`);
    lookAgain();
  });
  const httpPort = Number(new URL(service.http).port);
  await teachNames(httpPort);
  return {
    grpc: service.grpc,
    httpPort,
    failed,
    problems,
    until: (holds, ms) => untilHolds(holds, ms, looking),
    counted: () => countersOf(httpPort),
    async stop() {
      stopping = true;
      await service.end();
      await ended;
      process.off("exit", endAll);
    },
  };
}

function untilHolds(holds: () => boolean, ms: number, looking: Set<() => void>): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (held: boolean) => {
      looking.delete(look);
      clearTimeout(timer);
      resolve(held);
    };
    const look = () => holds() && finish(true);
    const timer = setTimeout(() => finish(false), ms);
    looking.add(look);
    look();
  });
}

/**
 * Sends names that end with a backslash, after each first name that requests have: V8 before Node 26.12.1 would take a name with an escape for
 * one of these from then on. They are refused, so that they are in the log and the counters like others.
 */
async function teachNames(httpPort: number): Promise<void> {
  const pairs = {
    tenantId: "field\\",
    tenant_id: "keyI\\",
    id: "\\",
    key: "valu\\",
    name: "toke\\",
    traceId: "spanI\\",
    a: "\\",
  };
  for (const pair of Object.entries(pairs)) {
    await fetch(`http://127.0.0.1:${httpPort}/${KmsService.typeName}/Status`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(Object.fromEntries(pair.map((name) => [name, "a"]))),
    });
  }
}

async function countersOf(httpPort: number): Promise<Map<string, number>> {
  const metrics = await (await fetch(`http://127.0.0.1:${httpPort}/q/metrics`)).text();
  const counts = new Map<string, number>();
  for (const [, code, count] of metrics.matchAll(/^kms_errors_total\{.*code="(\w+)".*\} (\d+)/gm)) {
    if (Number(count) > 0) counts.set(code!, (counts.get(code!) ?? 0) + Number(count));
  }
  return counts;
}

/** Values that get a request far, some made by the service itself. */
export async function makeSamples(httpPort: number): Promise<Samples> {
  const rpc = async (method: string, body: object) => {
    const url = `http://127.0.0.1:${httpPort}/${KmsService.typeName}/${method}`;
    const headers = { "content-type": "application/json" };
    // biome-ignore lint/suspicious/noExplicitAny: the answers are those of the service's own rpcs
    return (await (await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })).json()) as any;
  };
  const tenantId = "acme";
  const key = await rpc("GenerateDataKey", { tenantId });
  const sealed = await rpc("EncryptPii", { tenantId, fields: [{ name: "email", value: "YWRh" }] });
  const span = { traceId: Buffer.alloc(16, 1).toString("base64"), spanId: Buffer.alloc(8, 1).toString("base64") };
  const signed = await rpc("SignSpan", { tenantId, span });
  return {
    tenant_id: ["acme", "acme", "acme", "globex", "nobody", ""],
    key_id: [signed.keyId, key.keyId, "00112233445566778899aabbccddeeff"],
    token: [sealed.fields[0].token, "fk1.", "fk1.AQ"],
    ciphertext_blob: [Buffer.from(key.ciphertextBlob, "base64")],
    request_id: ["", "r-1", "r-2"],
    page_size: [0, 1, 10],
    page_token: ["", ""],
    key: ["audit.integrity.signed_at", "audit.integrity.signature", "http.method", "a"],
  };
}
