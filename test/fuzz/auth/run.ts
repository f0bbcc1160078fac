/**
 * `npm run soak:fuzz-auth -- --inputs N --seed S`: what strangers and operators write, made wrong, to the code that reads it: headers to
 * `authenticate`, DER to the reader of certificates, YAML to that of policies, so many to each. It fails where one is answered by anything
 * but its own words, takes longer than 100 ms of CPU in four tries, or where memory grows. `--target NAME` takes one alone; `--from K`
 * begins at input K, so that what a failure names can be given again. `--short` gives 5,000, and judges no time.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { randomFrom } from "../../crash/random.ts";
import { certificates } from "./certificates.ts";
import { headers } from "./headers.ts";
import { policies } from "./policies.ts";
import type { Input, Target, TargetKind } from "./target.ts";

const kinds: Readonly<Record<string, TargetKind>> = { headers, certificates, policies };
const shortInputs = 5_000;
const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "50000" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    from: { type: "string", default: "0" },
    short: { type: "boolean", default: false },
    target: { type: "string", multiple: true, default: Object.keys(kinds) },
  },
});
const [inputs, seed, from] = [values.short ? shortInputs : values.inputs, values.seed, values.from].map(Number) as [
  number,
  number,
  number,
];
const areKnown = values.target.every((name) => Object.hasOwn(kinds, name));
if (![inputs, seed, from].every(Number.isSafeInteger) || inputs < 1 || !areKnown) {
  console.error(`--inputs N --seed S --from K --short --target ${Object.keys(kinds).join("|")}`);
  process.exit(2);
}

const slowMs = 100;
/** A machine that is busy makes one look slow, but not the same one four times. */
const slowTries = 3;
/** Far above what may be remembered: 16 MiB of tokens. */
const mostGrownBytes = 64 * 1024 * 1024;
const perReport = 100_000;
/** Past so many a target is given up. */
const mostProblems = 20;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

let [passed, failed] = [0, 0];
console.log(`seed ${seed}, ${inputs} inputs to each`);
for (const name of values.target) await fuzz(name, kinds[name]!);
if (failed > 0) console.log(`FAILED with seed ${seed}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

async function fuzz(name: string, kind: TargetKind): Promise<void> {
  const target = await kind.open();
  const ways = new Map<string, number>();
  let [slow, problems] = [0, 0];
  const fail = (text: string) => {
    problems += 1;
    console.log(`${name}: ${text}`);
  };
  const before = liveBytes();
  for (let at = from; at < from + inputs && problems < mostProblems; at += 1) {
    const done = at - from;
    if (done > 0 && done % perReport === 0) console.log(`${name}: ${done} inputs, ${problems} problems`);
    const input = inputAt(target, at);
    const startedMs = performance.now();
    try {
      const way = await input.run();
      ways.set(way, (ways.get(way) ?? 0) + 1);
      if (performance.now() - startedMs > slowMs) {
        slow += 1;
        if (!values.short && (await isAlwaysSlow(kind, at))) throw new Error(`takes more than ${slowMs} ms of CPU`);
      }
      passed += 1;
    } catch (error) {
      fail(`input ${at}: ${error instanceof Error ? error.stack : error}\n  ${input.shown.slice(0, 2000)}`);
    }
  }
  const grown = liveBytes() - before;
  if (grown > mostGrownBytes) fail(`memory grew by ${grown} bytes`);
  const { way, atLeast } = kind.far;
  if ((ways.get(way) ?? 0) < atLeast * inputs) fail(`fewer than ${100 * atLeast} % of the inputs were ${way}`);
  target.close();
  failed += problems;
  const texts = [...ways].sort(([, a], [, b]) => b - a).map(([each, count]) => `${each}: ${count}`);
  console.log(
    `${name}: ${texts.join(", ")}; tried again as slow: ${slow}; memory grew by ${Math.round(grown / 1024)} KiB`,
  );
}

function inputAt(target: Target, number: number): Input {
  return target.input(randomFrom(seed * 1_000_003 + number), number);
}

/** By targets that remember nothing of it. */
async function isAlwaysSlow(kind: TargetKind, number: number): Promise<boolean> {
  for (let left = slowTries; left > 0; left -= 1) {
    const target = await kind.open();
    const input = inputAt(target, number);
    const before = process.cpuUsage();
    await input.run();
    const { user, system } = process.cpuUsage(before);
    target.close();
    if (user + system <= slowMs * 1_000) return false;
  }
  return true;
}

function liveBytes(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
