/**
 * Self time by file, of the CPU profiles in a directory: one a thread of the measured process, its whole life. `node bench/profile.ts DIR`
 * prints it; `npm run bench -- --cpu-prof DIR` does, too.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { aligned } from "./figures.ts";

interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string } }[];
  samples: number[];
  /** Microseconds since the sample before. */
  timeDeltas: number[];
}

const root = join(import.meta.dirname, "..");
const [mostLines, least] = [25, 0.003];

/** The largest parts of each thread, of the time in which it was not idle. */
export function profileTable(dir: string): string[][] {
  const lines = [["thread", "of its time", "ms", "self time in"]];
  for (const name of readdirSync(dir)
    .filter((file) => file.endsWith(".cpuprofile"))
    .toSorted()) {
    const parts = selfTimes(JSON.parse(readFileSync(join(dir, name), "utf8")));
    const total = [...parts.values()].reduce((sum, micros) => sum + micros, 0);
    const sorted = [...parts].toSorted(([, a], [, b]) => b - a).filter(([, micros]) => micros >= least * total);
    for (const [index, [where, micros]] of sorted.slice(0, mostLines).entries()) {
      const share = `${((100 * micros) / total).toFixed(1)} %`;
      lines.push([index === 0 ? threadOf(name) : "", share, (micros / 1000).toFixed(0), where]);
    }
  }
  return lines;
}

function selfTimes({ nodes, samples, timeDeltas }: Profile): Map<string, number> {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
  const times = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const place = places.get(id)!;
    if (place !== "(idle)") times.set(place, (times.get(place) ?? 0) + timeDeltas[index]!);
  }
  return times;
}

/** A file of this repository, a package, or what V8 calls in brackets: (garbage collector), and (program) for native code without a script. */
function placeOf({ functionName, url }: Profile["nodes"][number]["callFrame"]): string {
  if (url === "") return functionName.startsWith("(") ? functionName : "native";
  if (!url.startsWith("file:")) return url;
  return relative(root, fileURLToPath(url));
}

/** Of CPU.<date>.<time>.<pid>.<thread>.<sequence>.cpuprofile. */
function threadOf(file: string): string {
  const thread = file.split(".").at(-3)!;
  return thread === "0" ? "main" : `worker ${thread}`;
}

if (import.meta.main) console.log(aligned(profileTable(process.argv[2] ?? ".")));
