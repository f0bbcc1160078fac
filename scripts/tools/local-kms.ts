/**
 * local-kms (MIT, Go), an AWS KMS for tests with real cryptography, into tools/bin/local-kms. Two lines of it are changed before it is
 * built: its own binary listens on every address of the machine, and counts the length of a ciphertext in eight bits, so that it crashes
 * at one in forty that is none of its own.
 */
import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const source = "github.com/nsmithuk/local-kms";
const version = "v0.0.0-20260228092603-2a5e92d09ab6";
const changes = [
  { file: "server.go", from: 'addr := ":"+port', to: 'addr := "127.0.0.1:"+port' },
  { file: "service/ciphertext.go", from: "int(1+identlength+4+1)", to: "1+int(identlength)+4+1" },
] as const;
/** What is built: changed where the lines above are. */
const built = `${version} ${changes.map(({ to }) => to).join(" ")}`;

/** Does nothing where this version is there already. Throws when it cannot be downloaded or built. */
export async function installLocalKms(bin: string): Promise<void> {
  const [binary, mark] = [join(bin, "local-kms"), join(bin, "local-kms.version")];
  if ((await readFile(mark, "utf8").catch(() => "")) === built) return;
  const copy = await mkdtemp(join(tmpdir(), "local-kms-"));
  try {
    // Files of the module cache are read-only, and so would be their copies.
    await cp(downloaded(copy), copy, { recursive: true });
    spawnSync("chmod", ["-R", "u+w", copy]);
    for (const { file, from, to } of changes) {
      const path = join(copy, "src", file);
      const text = await readFile(path, "utf8");
      if (text.split(from).length !== 2) throw new Error(`${source} ${version} does not read as expected`);
      await writeFile(path, text.replace(from, to));
    }
    await mkdir(bin, { recursive: true });
    go(["build", "-trimpath", "-o", binary, "."], copy);
    await writeFile(mark, built);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** The folder of the module in Go's cache. */
function downloaded(cwd: string): string {
  const { Dir } = JSON.parse(go(["mod", "download", "-json", `${source}@${version}`], cwd)) as { Dir: string };
  return Dir;
}

function go(args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync("go", args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`go ${args.join(" ")} failed: ${stderr}`);
  return stdout;
}
