/**
 * `npm run soak:fuzz -- --requests N --seed S`: random requests over all transports and rpcs. It fails where one is answered INTERNAL or not at
 * all, where one that failed is not in the log and the counters of the service, or where the service dies. `--from K` begins at
 * request K, so that what a failure names can be sent again alone. `--short` sends 2,000.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import type { Answer } from "./answer.ts";
import { type FuzzRequest, requestOf } from "./requests.ts";
import { createSender, type Sender } from "./send.ts";
import { type FuzzedService, makeSamples, startFuzzed } from "./service.ts";

const shortRequests = 2_000;

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "20000" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    from: { type: "string", default: "0" },
    short: { type: "boolean", default: false },
  },
});
const [requests, seed, from] = [values.short ? shortRequests : values.requests, values.seed, values.from].map(
  Number,
) as [number, number, number];
if (![requests, seed, from].every(Number.isSafeInteger) || requests < 1) {
  console.error("--requests N --seed S --from K --short");
  process.exit(2);
}

/** A new service for so many, as its store grows with what it is told. */
const perService = 20_000;
/** After so many all are waited for, and the log is compared. */
const perBatch = 250;
const atOnce = 16;
const logMs = 20_000;
/** Past so many it is given up. */
const mostProblems = 20;

const statuses = new Map<string, Map<string, number>>();
const problems: string[] = [];
let passed = 0;

console.log(`seed ${seed}, ${requests} requests`);
for (let first = from; first < from + requests && problems.length < mostProblems; first += perService) {
  const [end, shown] = [Math.min(first + perService, from + requests), problems.length];
  await oneService(first, end);
  for (const problem of problems.slice(shown)) console.log(problem);
  console.log(`${end - from} requests, ${problems.length} problems`);
}
for (const [transport, counts] of [...statuses].sort()) {
  const texts = [...counts].sort(([, a], [, b]) => b - a).map(([status, count]) => `${status}: ${count}`);
  console.log(`${transport}: ${texts.join(", ")}`);
}
if (problems.length > 0) console.log(`FAILED with seed ${seed}`);
console.log(`${passed} passed, ${problems.length} failed`);
process.exitCode = problems.length > 0 ? 1 : 0;

async function oneService(first: number, end: number): Promise<void> {
  const service = await startFuzzed();
  const sender = createSender(service);
  const samples = await makeSamples(service.httpPort);
  for (let at = first; at < end && service.problems.length === 0; at += perBatch) {
    const batch = Array.from({ length: Math.min(perBatch, end - at) }, (_, index) => ({
      number: at + index,
      request: requestOf(seed, at + index, samples),
    }));
    await oneBatch(batch, service, sender);
  }
  if (service.problems.length === 0) await compareCounters(service);
  await sender.close();
  await service.stop();
  problems.push(...service.problems.map((problem) => `before request ${end}: ${problem}`));
}

interface Numbered {
  number: number;
  request: FuzzRequest;
}

async function oneBatch(batch: readonly Numbered[], service: FuzzedService, sender: Sender): Promise<void> {
  const before = new Map(service.failed);
  const expected = new Map<string, Numbered[]>();
  const waiting = [...batch];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const answer = await sender.send(next.request);
      note(next, answer);
      if (answer.code !== undefined) expected.set(answer.code, [...(expected.get(answer.code) ?? []), next]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const logged = (code: string) => (service.failed.get(code) ?? 0) - (before.get(code) ?? 0);
  const missing = () => [...expected].filter(([code, those]) => code !== "?" && logged(code) < those.length);
  if (await service.until(() => missing().length === 0, logMs)) return;
  for (const [code, those] of missing()) {
    const numbers = those.map(({ number }) => number).join(", ");
    problems.push(`${those.length} answers ${code}, and ${logged(code)} lines in the log, among requests ${numbers}`);
  }
}

function note({ number, request }: Numbered, { status, problem }: Answer): void {
  const counts = statuses.get(request.transport) ?? new Map<string, number>();
  statuses.set(request.transport, counts.set(status, (counts.get(status) ?? 0) + 1));
  if (problem === undefined) passed += 1;
  else problems.push(`request ${number}: ${problem}\n  ${request.what.slice(0, 2000)}`);
}

async function compareCounters({ failed, counted }: FuzzedService): Promise<void> {
  const counts = await counted();
  for (const [code, lines] of failed) {
    const count = counts.get(code) ?? 0;
    if (count !== lines) problems.push(`the counter of ${code} says ${count}, and the log has ${lines} lines`);
  }
}
