/**
 * local-kms (MIT, Go), an AWS KMS for tests with real cryptography, as tools/bin/local-kms. Two lines of it are changed before it is
 * built: its own binary listens on every address of the machine, and counts the length of a ciphertext in eight bits, so that it crashes
 * at one in forty that is none of its own.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { cached, linkTool, packageCaches } from "./cache.ts";
import { goVersion } from "./go.ts";

const source = "github.com/nsmithuk/local-kms";
const version = "v0.0.0-20260228092603-2a5e92d09ab6";
const changes = [
  { file: "server.go", from: 'addr := ":"+port', to: 'addr := "127.0.0.1:"+port' },
  { file: "service/ciphertext.go", from: "int(1+identlength+4+1)", to: "1+int(identlength)+4+1" },
] as const;
/** What is built: changed where the lines above are. */
const built = `${version} ${changes.map(({ to }) => to).join(" ")}`;

/** Installs it. As that may take minutes, `say` is told what goes on. Throws when it cannot be downloaded or built. */
export async function installLocalKms(say: (line: string) => void = () => {}): Promise<void> {
  const folder = await cached("local-kms", [built, goVersion()], async (made) => {
    const copy = await mkdtemp(join(tmpdir(), "local-kms-"));
    try {
      await build(copy, join(made, "local-kms"), say);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });
  linkTool(join("bin", "local-kms"), join(folder, "local-kms"));
}

async function build(copy: string, binary: string, say: (line: string) => void): Promise<void> {
  const startedMs = performance.now();
  const progress = (line: string) =>
    say(`${((performance.now() - startedMs) / 1_000).toFixed(0).padStart(5)} s  ${line}`);
  say(`local-kms ${version} is not here yet: Go downloads and builds it, once, in a minute or a few`);
  await cp(await downloaded(copy, progress), copy, { recursive: true });
  // Files of a module cache may be read-only, and so would be their copies.
  spawnSync("chmod", ["-R", "u+w", copy]);
  for (const { file, from, to } of changes) {
    const path = join(copy, "src", file);
    const text = await readFile(path, "utf8");
    if (text.split(from).length !== 2) throw new Error(`${source} ${version} does not read as expected`);
    await writeFile(path, text.replace(from, to));
  }
  await go(["build", "-v", "-trimpath", "-o", binary, "."], { cwd: copy, progress });
  progress("built");
}

interface Running {
  cwd: string;
  /** Told of each line of Go's own: what it downloads, and each package that it compiles. */
  progress(line: string): void;
}

/** The folder of the module in Go's cache. */
async function downloaded(cwd: string, progress: Running["progress"]): Promise<string> {
  const { Dir } = JSON.parse(await go(["mod", "download", "-json", `${source}@${version}`], { cwd, progress }));
  return Dir as string;
}

async function go(args: readonly string[], { cwd, progress }: Running): Promise<string> {
  const env = { ...process.env, ...packageCaches() };
  const child = spawn("go", args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close");
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  createInterface({ input: child.stderr }).on("line", (line) => {
    stderr += `${line}\n`;
    progress(line);
  });
  const [status] = await ended;
  if (status !== 0) throw new Error(`go ${args.join(" ")} failed: ${stderr}`);
  return stdout;
}
