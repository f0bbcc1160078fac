/**
 * `npm run bench:clients`: what a span costs in each language's process, exported by the plain exporter and by the signing one, in turn.
 * CPU time of the process, from the first span to the flush, by the spans; the service's and the backend's own is not in it. Words choose
 * languages, `--spans` and `--rounds` how much. The clients are those that `npm run test:clients -- --install` built.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startProcess } from "../../test/support/service-process.ts";
import { startBackend } from "../../clients/conformance/backend.ts";
import { atEnd, type Language, newFolder, runProgram, whole } from "../../clients/conformance/programs.ts";

const { values, positionals } = parseArgs({
  options: { spans: { type: "string", default: "50000" }, rounds: { type: "string", default: "5" } },
  allowPositionals: true,
});
const [spans, rounds] = [Number(values.spans), Number(values.rounds)];
const languages = whole.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const modes = ["plain", "LOG", "INDIVIDUAL"] as const;

const service = await startProcess({}, { finished: atEnd });
const backend = await startBackend();

async function microsPerSpan(language: Language, mode: (typeof modes)[number], tenant: string): Promise<number> {
  const out = join(newFolder(), "exported.json");
  const { failures } = await runProgram(language, "export", {
    service: service.grpc,
    backend: backend.url,
    tenant,
    spans,
    warmUp: spans,
    out,
    work: newFolder(),
    plain: mode === "plain",
    mode: mode === "plain" ? "LOG" : mode,
    ratePerSecond: null,
    shutdownMs: 300_000,
    queue: { spans: 2 * spans, bytes: 2 ** 30 },
    exportTimeoutMs: 30_000,
    batch: 512,
    processorQueue: 2 * spans,
  });
  if (failures.length > 0) throw new Error(failures.join("\n"));
  return JSON.parse(readFileSync(out, "utf8")).cpuMicrosPerSpan;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

const range = (numbers: readonly number[]) =>
  `${median(numbers).toFixed(1)} (${Math.min(...numbers).toFixed(1)}–${Math.max(...numbers).toFixed(1)})`;

console.log(
  `CPU time a span in µs: median of ${rounds} rounds (least–most), each of ${spans} spans after as many others\n`,
);
console.log(`| language | ${modes.join(" | ")} |\n| --- | ${modes.map(() => "---").join(" | ")} |`);
for (const language of languages) {
  const measured = Object.fromEntries(modes.map((mode) => [mode, [] as number[]]));
  for (let round = 0; round < rounds; round += 1) {
    for (const mode of modes) {
      measured[mode]!.push(await microsPerSpan(language, mode, `${language.name}-${round}`));
      backend.forget();
    }
  }
  console.log(`| ${language.title} | ${modes.map((mode) => range(measured[mode]!)).join(" | ")} |`);
}
backend.close();
await service.end();
