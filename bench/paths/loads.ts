/** The calls and streams, and what each is measured against. */
import { caller } from "../client/caller.ts";
import { type LoadClient, startClient } from "../client/client.ts";
import { encryptPiiRequest, generateDataKeyRequest, rpc, tenantId } from "../requests.ts";
import type { BareLoops } from "../server/bare.ts";
import { type Server, type Service, startEmpty, startService } from "../server/server.ts";
import { cpuAnItem, type Take } from "../slice.ts";
import { signSpanRequests } from "../spans.ts";
import { callsAtOnce, type StreamShape, subjectsOf, usualBatches } from "../subjects.ts";
import type { Limit, Rows } from "./row.ts";

/** Long enough that each slice meets the collector's full cycles. */
const calls = 8000;
const callsOf20 = 4000;
const callsOf1000 = 60;
const loopsPerSlice = 20_000;
const lookupsPerSlice = 300_000;

/** `execArgv` goes to the service's process, for its profile. */
export async function loads(execArgv: readonly string[]): Promise<Rows> {
  const client = startClient();
  const service = await startService({ execArgv });
  const empty = await startEmpty(await answerBytes(service));
  const subjects = subjectsOf(service, client);

  const loop = (name: keyof BareLoops, times = loopsPerSlice): Take => {
    return async () => ({ value: (await service.run(name, times)) / times });
  };
  const emptyCall = (method: keyof typeof examples) => emptyCalls(empty, client, method);
  const signature = (atMost?: number): Limit => {
    return { title: "a signature", takes: [loop("signature")], ...(atMost && { atMost }) };
  };
  const streams = (mode: StreamShape["mode"], atOnce: number, batchesEach: number, withAttributes = false) => {
    const shape = { mode, streams: atOnce, atOnce, batchesEach, withAttributes, ...usualBatches, tenants: [tenantId] };
    return subjects.signSpans(shape);
  };
  const hashes = { title: "2 SHA-256 + Merkle", takes: [loop("hashes")] };
  const seal = (atMost?: number): Limit => {
    return { title: "bare seal", takes: [loop("seal")], ...(atMost && { atMost }) };
  };

  const rows: Rows["rows"] = [
    {
      name: "sign-span",
      title: "SignSpan, a call",
      unit: "µs",
      subject: subjects.signSpan(calls),
      limits: [{ title: "empty call + signature", takes: [emptyCall("SignSpan"), loop("signature")], atMost: 1.35 }],
    },
    {
      name: "individual",
      title: "SignSpans INDIVIDUAL, 64 streams, a span",
      unit: "µs",
      subject: streams("INDIVIDUAL", 64, 6),
      limits: [signature(1.6)],
    },
    {
      name: "individual-attributes",
      title: "the same with attributes",
      unit: "µs",
      subject: streams("INDIVIDUAL", 64, 6, true),
      limits: [{ title: "without", takes: [streams("INDIVIDUAL", 64, 6)] }],
    },
    {
      name: "individual-1",
      title: "SignSpans INDIVIDUAL, 1 stream, a span",
      unit: "µs",
      subject: streams("INDIVIDUAL", 1, 300),
      limits: [signature(1.6)],
    },
    {
      name: "log",
      title: "SignSpans LOG, 64 streams, a span",
      unit: "µs",
      subject: streams("LOG", 64, 24),
      limits: [signature(9 / 19), hashes],
    },
    {
      name: "log-attributes",
      title: "the same with attributes",
      unit: "µs",
      subject: streams("LOG", 64, 24, true),
      limits: [{ title: "without", takes: [streams("LOG", 64, 24)] }],
    },
    {
      name: "log-1",
      title: "SignSpans LOG, 1 stream, a span",
      unit: "µs",
      subject: streams("LOG", 1, 500),
      limits: [signature(9 / 19), hashes],
    },
    {
      name: "encrypt-pii-1",
      title: "EncryptPii of 1 field",
      unit: "µs",
      subject: subjects.encryptPii(1, calls),
      limits: [{ title: "empty call + seal", takes: [emptyCall("EncryptPii"), loop("seal")] }],
    },
    {
      name: "encrypt-pii",
      title: "EncryptPii of 20, a field",
      unit: "µs",
      subject: subjects.encryptPii(20, callsOf20),
      limits: [seal(1.5)],
    },
    {
      name: "encrypt-pii-1000",
      title: "EncryptPii of 1,000, a field",
      unit: "µs",
      subject: subjects.encryptPii(1000, callsOf1000),
      limits: [seal()],
    },
    {
      name: "generate-data-key",
      title: "GenerateDataKey, a call",
      unit: "µs",
      subject: subjects.generateDataKey(calls),
      limits: [{ title: "empty call", takes: [emptyCall("GenerateDataKey")], atMost: 1.6 }],
    },
    {
      name: "cached-key",
      title: "cached key",
      unit: "µs",
      subject: loop("cachedKey", lookupsPerSlice),
      limits: [{ title: "Map lookup", takes: [loop("mapLookup", lookupsPerSlice)] }],
      atMost: 1,
    },
  ];
  return {
    rows,
    async stop() {
      subjects.close();
      await client.stop();
      await Promise.all([service.stop(), empty.stop()]);
    },
  };
}

const examples = {
  SignSpan: signSpanRequests(tenantId, 1)[0]!,
  EncryptPii: encryptPiiRequest(1),
  GenerateDataKey: generateDataKeyRequest(),
};

async function answerBytes({ port }: Service): Promise<Record<string, number>> {
  const { call, close } = caller(port);
  const sizes: Record<string, number> = {};
  for (const [method, request] of Object.entries(examples)) sizes[method] = (await call(rpc(method), request)).length;
  close();
  return sizes;
}

/** With request and answer of the same sizes as the method's. */
function emptyCalls(empty: Server, client: LoadClient, method: keyof typeof examples): Take {
  const load = { over: "unary", path: `/bench/${method}`, bodies: [examples[method]] } as const;
  const run = client.load(() => ({ ...load, port: empty.port, calls, atOnce: callsAtOnce }));
  return cpuAnItem({ server: empty, run, items: calls });
}
