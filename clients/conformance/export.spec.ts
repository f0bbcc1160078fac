/** Signing exporters of each SDK: what a backend gets of ten thousand spans while service, network and backend fail. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { type JudgedSpan, judgeSpans } from "../../src/cli/verify/judged-spans.ts";
import { readKeySet } from "../../src/cli/verify/key-set.ts";
import { KmsError } from "../../src/errors.ts";
import { toGrpcStatus } from "../../src/transport/error-status.ts";
import { grpcClient, startService } from "../../test/support/running-service.ts";
import { tokenPolicy } from "../../test/support/token-policy.ts";
import { type Backend, distinct, spansOf, startBackend } from "./backend.ts";
import { jwksOf, logSize, startKilledService } from "./killed-service.ts";
import { type Language, newFolder, runProgram, whole } from "./programs.ts";
import { startRefusingRelay } from "./refusing-relay.ts";

const spans = 10_000;
const tenant = "exported";
const few = { spans: 1_000, batch: 250 };
/** More than there are batches, so that each is refused. */
const refusals = 6;

interface Exported {
  ended: number;
  delivered: number;
  refused: number;
  lost: Record<string, number>;
  told: Record<string, number>;
  /** The last reason that was told, by cause. */
  why: Record<string, string>;
  undelivered: number;
  waitingSpans: number;
  waitingBytes: number;
}

const usual = {
  tenant,
  spans,
  mode: "LOG",
  queue: { spans: 20_000, bytes: 64 * 1024 * 1024 },
  plain: false,
  exportTimeoutMs: 30_000,
  batch: 512,
  processorQueue: 2 * spans,
  ratePerSecond: null,
  shutdownMs: 300_000,
};

async function exported(
  language: Language,
  service: { address: string },
  backend: Backend,
  changes: Partial<Record<keyof typeof usual, unknown>> = {},
  onLine?: (line: string) => void,
): Promise<Exported> {
  const out = join(newFolder(), "exported.json");
  const world = { ...usual, ...changes, service: service.address, backend: backend.url, out, work: newFolder() };
  const told = await runProgram(language, "export", world, onLine);
  expect(told.failures).toEqual([]);
  const result: Exported = JSON.parse(readFileSync(out, "utf8"));
  expect([result.waitingSpans, result.waitingBytes]).toEqual([0, 0]);
  return result;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** Losses by cause, without causes that have none. */
function causes(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

function namesOf(requests: readonly Uint8Array[]): string[] {
  return spansOf(requests).map(({ name }) => name);
}

function inOrder(names: Iterable<string>): string[] {
  return [...names].sort((a, b) => Number(a.slice(2)) - Number(b.slice(2)));
}

const all = Array.from({ length: spans }, (_, i) => `s-${i}`);

async function judged(
  service: { http: string },
  requests: readonly Uint8Array[],
  token?: string,
): Promise<JudgedSpan[]> {
  return judgeSpans(Buffer.concat(requests), readKeySet(Buffer.from(await jwksOf(service, tenant, token))), tenant);
}

/** A service behind a relay that loses the first answer and then refuses streams: by `refusal`, or for a policy. */
async function startRefused({ refusals, refusal }: { refusals: number; refusal: KmsError | undefined }) {
  const { text, tokens, files } = tokenPolicy({ exporter: { roles: ["sign"] }, auditor: { roles: ["verify"] } });
  const service = await startService({}, { files });
  onTestFinished(() => service.stop());
  const [address, http] = [`127.0.0.1:${service.grpcPort}`, service.url];
  const client = grpcClient(address, undefined, tokens.auditor);
  onTestFinished(() => client.close());
  const logged = () => logSize({ client }, tenant);
  let taken = 0;
  const relay = await startRefusingRelay({
    service: address,
    token: tokens.exporter!,
    refusals,
    ...(refusal === undefined ? {} : { refusal: toGrpcStatus(refusal) }),
    async refuse() {
      taken = await logged();
      if (refusal === undefined) await service.write({ "policy.yaml": text.replace("[sign]", "[decrypt]") });
    },
    mend: () => service.write(files),
  });
  onTestFinished(() => relay.stop());
  const judgedOf = (requests: readonly Uint8Array[]) => judged({ http }, requests, tokens.auditor);
  return { relay, logged, taken: () => taken, judgedOf };
}

function bad(spans: readonly JudgedSpan[]): string[] {
  return spans.filter(({ verified }) => !verified).map(({ reason, message }) => `${reason}: ${message}`);
}

describe.each(whole.map((language) => [language.title, language] as const))("%s", (_, language) => {
  it("brings each span once, signed, while the service is killed and its network cut", async () => {
    // Places in the 12 MB or so that the service answers. Each happens once that much came back, in this order.
    const due: [bytes: number, what: "kill" | "cut"][] = [
      [1_000_000, "kill"],
      [2_500_000, "cut"],
      [4_000_000, "kill"],
      [5_500_000, "cut"],
    ];
    const restarts: Promise<void>[] = [];
    let cuts = 0;
    const service = await startKilledService({
      onReceived(received) {
        const next = due[0];
        if (next === undefined || received < next[0]) return;
        due.shift();
        cuts += 1;
        service.proxy.cut();
        if (next[1] === "kill") restarts.push(service.killAndRestart());
      },
    });
    onTestFinished(() => service.end());
    const backend = await startBackend();
    onTestFinished(() => backend.close());
    const { ended, delivered, refused, lost, told, undelivered } = await exported(language, service, backend);
    await Promise.all(restarts);
    expect([cuts, restarts.length]).toEqual([4, 2]);
    expect({ ended, delivered, refused, undelivered }).toEqual({
      ended: spans,
      delivered: spans,
      refused: 0,
      undelivered: 0,
    });
    expect([causes(lost), causes(told)]).toEqual([{}, {}]);
    expect(inOrder(namesOf(backend.requests))).toEqual(all);
    const verdicts = await judged(service.process, backend.requests);
    expect(bad(verdicts)).toEqual([]);
    expect(new Set(verdicts.map(({ place }) => place?.claim.index)).size).toBe(spans);
    expect(await logSize(service.process, tenant)).toBe(spans);
  });

  it("repeats the same bytes where the backend's answer is lost", async () => {
    const service = await startKilledService();
    onTestFinished(() => service.end());
    const lostAnswers = [1, 2, 5, 9, 14];
    const backend = await startBackend({ losesAnswer: (n) => lostAnswers.includes(n) });
    onTestFinished(() => backend.close());
    const { delivered, lost, undelivered } = await exported(language, service, backend);
    expect({ delivered, lost: causes(lost), undelivered }).toEqual({ delivered: spans, lost: {}, undelivered: 0 });
    const once = distinct(backend.requests);
    expect(backend.requests.length - once.length).toBe(lostAnswers.length);
    expect(inOrder(namesOf(once))).toEqual(all);
    expect(bad(await judged(service.process, once))).toEqual([]);
    expect(await logSize(service.process, tenant)).toBe(spans);
  });

  it("counts and tells each span that a queue is too small for, and brings the others", async () => {
    const service = await startKilledService();
    onTestFinished(() => service.end());
    const backend = await startBackend();
    onTestFinished(() => backend.close());
    service.proxy.to(undefined);
    let seen = 0;
    const changes = { queue: { spans: 1_000, bytes: 64 * 1024 * 1024 }, exportTimeoutMs: 250 };
    const { ended, delivered, refused, lost, told } = await exported(language, service, backend, changes, (line) => {
      const [, count] = /^LOST \S+ (\d+)$/.exec(line) ?? [];
      seen += Number(count ?? 0);
      if (seen >= spans / 2) service.proxy.to(Number(service.process.grpc.split(":")[1]));
    });
    expect({ ended, refused }).toEqual({ ended: spans, refused: 0 });
    expect(causes(told)).toEqual(causes(lost));
    expect(lost["queue-full"]).toBeGreaterThanOrEqual(spans / 2);
    expect(sum(lost)).toBe(seen);
    expect(delivered + sum(lost)).toBe(spans);
    const names = namesOf(backend.requests);
    expect(new Set(names).size).toBe(delivered);
    expect(names).toHaveLength(delivered);
    expect(bad(await judged(service.process, backend.requests))).toEqual([]);
  });

  it.each([
    ["the policy", status.PERMISSION_DENIED],
    ["an error of the service", status.INTERNAL],
  ])("brings each span once where a batch's answer is cut off and %s refuses it for a while", async (_, code) => {
    const isOfPolicy = code === status.PERMISSION_DENIED;
    const refusal = isOfPolicy ? undefined : new KmsError("INTERNAL", "internal error");
    const { relay, taken, logged, judgedOf } = await startRefused({ refusals, refusal });
    const backend = await startBackend();
    onTestFinished(() => backend.close());
    const { delivered, refused, lost, undelivered } = await exported(language, relay, backend, few);
    expect(taken()).toBeGreaterThanOrEqual(few.batch);
    expect(relay.refused).toEqual(Array(refusals).fill(code));
    expect({ delivered, refused, lost: causes(lost), undelivered }).toEqual({
      delivered: few.spans,
      refused: 0,
      lost: {},
      undelivered: 0,
    });
    expect(inOrder(namesOf(backend.requests))).toEqual(all.slice(0, few.spans));
    expect(await logged()).toBe(few.spans);
    expect(bad(await judgedOf(backend.requests))).toEqual([]);
  });

  it("drops a batch that the service refuses for good, says why, and brings the others", async () => {
    const refusal = new KmsError("INVALID_ARGUMENT", "no such tenant");
    const { relay, judgedOf } = await startRefused({ refusals: 1, refusal });
    const backend = await startBackend();
    onTestFinished(() => backend.close());
    const { delivered, lost, told, why, undelivered } = await exported(language, relay, backend, few);
    const rest = few.spans - few.batch;
    expect({ delivered, undelivered }).toEqual({ delivered: rest, undelivered: 0 });
    expect([causes(lost), causes(told)]).toEqual(Array(2).fill({ rejected: few.batch }));
    expect(why.rejected).toContain("no such tenant");
    expect(inOrder(namesOf(backend.requests))).toEqual(all.slice(few.batch, few.spans));
    expect(bad(await judgedOf(backend.requests))).toEqual([]);
  });

  it("drops a batch that the backend refuses for good, says why, and brings the others", async () => {
    const service = await startKilledService();
    onTestFinished(() => service.end());
    const refusedOnes = [0, 2];
    const backend = await startBackend({ status: (n) => (refusedOnes.includes(n) ? 400 : 200) });
    onTestFinished(() => backend.close());
    const { delivered, lost, told, why, undelivered } = await exported(language, service, backend, few);
    const dropped = refusedOnes.length * few.batch;
    expect({ delivered, undelivered }).toEqual({ delivered: few.spans - dropped, undelivered: 0 });
    expect([causes(lost), causes(told)]).toEqual(Array(2).fill({ rejected: dropped }));
    expect(why.rejected).toContain("400");
    // Each batch came once, those that were refused among them.
    expect(backend.requests).toHaveLength(few.spans / few.batch);
    expect(inOrder(namesOf(backend.requests))).toEqual(all.slice(0, few.spans));
  });
});
