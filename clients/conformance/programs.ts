/** The conformance programs of the languages, as scripts/tools/client-builds.ts built them, and what they print. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

export const root = join(import.meta.dirname, "..", "..");
const tools = join(root, "tools", "clients");

export type LanguageName = "go" | "python" | "java" | "typescript" | "ruby" | "rust";

export interface Language {
  name: LanguageName;
  title: string;
  /** Languages that have the hand-written layer: records, files, signer, exporter and verifier. */
  isWhole: boolean;
  /** Starts the conformance program; its arguments follow. */
  conformance(): readonly string[];
  /** Starts the command that verifies. */
  verify?(): readonly string[];
}

/** In a run under another version of a language: its interpreter, or the program that it built. */
const runtime = process.env.CONFORMANCE_RUNTIME;
const python = runtime ?? join(tools, "python", "bin", "python");
const ruby = join(root, "clients", "ruby");
const java = (main: string) => [runtime ?? "java", "-cp", javaClassPath(), main];

export const languages: readonly Language[] = [
  {
    name: "go",
    title: "Go",
    isWhole: true,
    conformance: () => [runtime ?? join(tools, "go", "conformance")],
    verify: () => [join(tools, "go", "fluo-kms-verify")],
  },
  {
    name: "python",
    title: "Python",
    isWhole: true,
    conformance: () => [python, join(root, "clients", "python", "conformance")],
    verify: () => [python, "-m", "fluo_kms.verify"],
  },
  {
    name: "java",
    title: "Java",
    isWhole: true,
    conformance: () => java("dev.fluo.kms.conformance.Main"),
    verify: () => java("dev.fluo.kms.verify.Main"),
  },
  {
    name: "typescript",
    title: "TypeScript",
    isWhole: true,
    conformance: () => [runtime ?? process.execPath, join(tools, "typescript", "main.ts")],
    verify: () => [join(tools, "typescript", "node_modules", ".bin", "fluo-kms-verify")],
  },
  {
    name: "ruby",
    title: "Ruby",
    isWhole: false,
    conformance: () => ["ruby", "-I", join(ruby, "lib"), join(ruby, "conformance", "main.rb")],
  },
  {
    name: "rust",
    title: "Rust",
    isWhole: false,
    conformance: () => [runtime ?? join(tools, "rust", "debug", "conformance")],
  },
];

function javaClassPath(): string {
  const target = join(root, "clients", "java", "target");
  const jars = globSync(join(target, "fluo-kms-*.jar")).filter((jar) => !/-(?:sources|javadoc|tests)\.jar$/.test(jar));
  const dependencies = readFileSync(join(target, "conformance.classpath"), "utf8").trim();
  return [...jars, join(target, "test-classes"), dependencies].join(":");
}

/** Those that this run is about: what could be built, and was asked for. */
export const chosen: readonly Language[] = languages.filter(
  ({ name }) => process.env.CONFORMANCE_LANGUAGES?.split(",").includes(name) ?? true,
);
export const whole: readonly Language[] = chosen.filter(({ isWhole }) => isWhole);

export interface Told {
  passed: number;
  failed: number;
  /** Lines that begin with FAIL, and what there is where a program ends otherwise. */
  failures: readonly string[];
}

/**
 * Runs a command of a program, at the longest until this process ends. `onLine` gets each line of its standard output. Figures go to the
 * table that the run prints. Rejects where the program prints no last line of figures.
 */
export async function runProgram(
  { name, conformance }: Language,
  command: string,
  world: object,
  onLine?: (line: string) => void,
): Promise<Told> {
  const folder = newFolder(`${name}-${command}-`);
  const path = join(folder, "world.json");
  writeFileSync(path, JSON.stringify(world));
  const [program, ...args] = conformance();
  const child = spawn(program!, [...args, command, path], { stdio: ["ignore", "pipe", "pipe"] });
  atEnd(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => {
    lines.push(line);
    onLine?.(line);
  });
  const [[code], err] = await Promise.all([once(child, "close"), text(child.stderr), once(reader, "close")]);
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(lines.at(-1) ?? "") ?? [];
  if (passed === undefined || failed === undefined)
    throw new Error(`${name} ${command} ended with ${code} and no figures: ${lines.slice(-5).join("\n")}\n${err}`);
  const failures = lines.filter((line) => line.startsWith("FAIL"));
  if ((code === 0) !== (failed === "0")) failures.push(`it ended with ${code}, though ${failed} failed: ${err}`);
  record({ language: name, command, passed: Number(passed), failed: Number(failed) });
  return { passed: Number(passed), failed: Number(failed), failures };
}

export interface Figures {
  language: LanguageName;
  command: string;
  passed: number;
  failed: number;
}

/** File in which the run collects figures, a JSON a line. */
function record(figures: Figures): void {
  const file = process.env.CONFORMANCE_FIGURES;
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(figures)}\n`);
}

const ends: (() => void)[] = [];
process.once("exit", () => {
  for (const end of ends) end();
});

/** Calls `end` when this process ends, however many are to be called so. */
export function atEnd(end: () => void): void {
  ends.push(end);
}

/** An empty one, which is gone when this process ends. */
export function newFolder(prefix = "work-"): string {
  const folder = mkdtempSync(join(tmpdir(), `fluo-kms-${prefix}`));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
