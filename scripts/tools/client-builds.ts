/**
 * Each client, built as its users get it, with the program that clients/conformance/README.md describes. All that is made lies under
 * tools/clients, or is ignored. Each throws where it cannot be had.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { LanguageName } from "../../clients/conformance/programs.ts";
import { installDebianWhere, isThere } from "./debian.ts";
import { buildGo, type GoTool, installGo } from "./go.ts";
import { installEnvironment } from "./python-environment.ts";

export const root = join(import.meta.dirname, "..", "..");
const clients = join(root, "clients");
const tools = join(root, "tools", "clients");
/** The folder of programs in Go that are installed. */
export const goBin = join(root, "tools", "bin");
export const pythonBin = join(tools, "python", "bin");
/** Target folder of Rust's builds. */
export const rustTarget = join(tools, "rust");

/** Must be of a release that supports the Go version that is used: it refuses modules of a later one. */
const staticcheck: GoTool = {
  name: "staticcheck",
  module: "honnef.co/go/tools",
  package: "/cmd/staticcheck",
  version: "v0.8.2",
};

export const clientBuilds: Readonly<Record<LanguageName, () => Promise<void> | void>> = {
  go() {
    need("go", ["version"]);
    for (const program of ["conformance", "verify"])
      buildGo(present("go", "cmd", program), join(tools, "go", program), { GOFLAGS: "-mod=readonly" });
    installGo(staticcheck, goBin);
  },

  async python() {
    need("python3", ["-m", "venv", "--help"]);
    const folder = present("python");
    const works = ["python", "-c", "import grpc, google.protobuf, build"] as const;
    await installEnvironment(join(tools, "python"), present("python", "requirements.txt"), works);
    generated("python", "clients/python/src/fluo");
    const wheels = join(tools, "python-dist");
    whereChanged("python", ["clients/python", "proto"], [join(tools, "python", "requirements.txt")], () => {
      rmSync(wheels, { recursive: true, force: true });
      const python = join(pythonBin, "python");
      run(python, ["-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, folder]);
      const [wheel] = globSync(join(wheels, "*.whl"));
      run(python, [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--force-reinstall",
        "--disable-pip-version-check",
        wheel!,
      ]);
    });
  },

  java() {
    need("mvn");
    const folder = present("java", "pom.xml");
    generated("java", "clients/java/src/generated");
    const built = join(dirname(folder), "target", "conformance.classpath");
    whereChanged("java", ["clients/java", "proto"], [built], () => {
      run("mvn", ["-q", "-B", "-ntp", "-DskipTests", "verify"], { cwd: dirname(folder) });
    });
  },

  typescript() {
    need("npm");
    const folder = dirname(present("typescript", "package.json"));
    const own = present("typescript", "conformance", "package-lock.json");
    const place = join(tools, "typescript");
    whereChanged("typescript", ["clients/typescript", "gen/ts", "proto"], [], () => {
      rmSync(place, { recursive: true, force: true });
      cpSync(dirname(own), place, { recursive: true });
      run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: place });
      const packed = JSON.parse(
        run("npm", ["pack", "--json", "--pack-destination", place], { cwd: folder }).replace(/^[^[]*/, ""),
      );
      const tarball = `./${packed[0].filename}`;
      run("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", tarball], { cwd: place });
    });
  },

  ruby() {
    present("ruby", "conformance", "main.rb");
    const gems = 'require "grpc"; require "google/protobuf"; require "google/rpc/error_details_pb"';
    const packages = [
      "ruby",
      "ruby-minitest",
      "ruby-grpc",
      "ruby-google-protobuf",
      "ruby-googleapis-common-protos-types",
    ];
    installDebianWhere(() => !isThere("ruby", ["-e", gems]), packages);
    generated("ruby", "clients/ruby/lib/fluo/kms/v1");
  },

  rust() {
    need("cargo");
    const manifest = present("rust", "conformance", "Cargo.toml");
    generated("rust", "clients/rust/fluo.kms.v1.binpb");
    run("cargo", ["build", "--quiet", "--locked", "--manifest-path", manifest, "--target-dir", rustTarget]);
  },
};

/** Throws where the client, or this part of it, is not there. */
function present(...path: string[]): string {
  const file = join(clients, ...path);
  if (!existsSync(file)) throw new Error(`${join("clients", ...path)} is not there`);
  return file;
}

function need(command: string, args?: readonly string[]): void {
  if (!isThere(command, args)) throw new Error(`${[command, ...(args ?? [])].join(" ")} does not work`);
}

/** Generates the code of a language, unless it is there as proto/ has it. */
function generated(language: string, output: string): void {
  whereChanged(`generated-${language}`, ["proto", `clients/codegen/${language}.yaml`], [join(root, output)], () => {
    run(process.execPath, [join(root, "scripts", "generate-clients.ts"), language]);
  });
}

/** Does `make` where files below `paths` have changed since, or where one of `outputs` is not there. */
function whereChanged(name: string, paths: readonly string[], outputs: readonly string[], make: () => void): void {
  const mark = join(tools, `${name}.sha256`);
  const digest = digestOf(paths);
  const known = existsSync(mark) ? readFileSync(mark, "utf8") : "";
  if (known === digest && outputs.every(existsSync)) return;
  mkdirSync(tools, { recursive: true });
  rmSync(mark, { force: true });
  make();
  writeFileSync(mark, digest);
}

/** Digest of what Git knows below these paths, or would add. */
function digestOf(paths: readonly string[]): string {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", ...paths];
  const files = run("git", ["-c", "safe.directory=*", ...args], { cwd: root })
    .split("\0")
    .filter((file) => file !== "" && existsSync(join(root, file)));
  const sum = createHash("sha256");
  for (const file of files.sort())
    sum
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update("\0");
  return sum.digest("hex");
}

interface RunOptions {
  cwd?: string;
  env?: Readonly<Record<string, string>>;
}

/** Gives its standard output. Throws for a command that cannot be run, or fails, with the end of what it said. */
function run(command: string, args: readonly string[], { cwd = root, env = {} }: RunOptions = {}): string {
  const options = { cwd, env: { ...process.env, ...env }, encoding: "utf8", maxBuffer: 2 ** 28 } as const;
  const { error, status, stdout, stderr } = spawnSync(command, args, options);
  if (status !== 0) {
    const said = error?.message ?? (stdout + stderr).trimEnd().split("\n").slice(-40).join("\n");
    throw new Error(`${command} ${args.join(" ")} failed: ${said}`);
  }
  return stdout;
}
