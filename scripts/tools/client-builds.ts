/**
 * Each client, built as its users get it, with the program that clients/conformance/README.md describes. All that is made lies under
 * tools/clients, or is ignored; what it depends on is in the cache. Each throws where it cannot be had.
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { LanguageName } from "../../clients/conformance/programs.ts";
import { isShortRun } from "../../test/support/short-option.ts";
import { cached, linkTool, putInPlace, tools as toolsFolder } from "./cache.ts";
import { command, isThere } from "./command.ts";
import { installChromium, installOnMachine } from "./debian.ts";
import { buildGo, type GoTool, installGo } from "./go.ts";
import { installPackages } from "./npm-packages.ts";
import { isRequired, notRun } from "./not-run.ts";
import { installEnvironment } from "./python-environment.ts";
import { need } from "./spec-suite.ts";

export const root = join(import.meta.dirname, "..", "..");
const clients = join(root, "clients");
const tools = join(toolsFolder, "clients");
/** The folder of programs in Go that are installed. */
export const goBin = join(toolsFolder, "bin");
const python = join(tools, "python");
export const pythonBin = join(python, "bin");
/** Environment with all that the client in Python needs, without itself. */
const pythonPackages = "clients/python-packages";
export const pythonPackagesBin = join(toolsFolder, pythonPackages, "bin");
/** Environment with the lowest versions of all that the client in Python needs. */
const pythonLowest = "clients/python-lowest";
export const pythonLowestBin = join(toolsFolder, pythonLowest, "bin");
/** Checks types of Python as editors do. */
export const pyright = join(toolsFolder, "pyright", "node_modules", ".bin", "pyright");
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
  async go() {
    need("go", ["version"]);
    buildGo(present("go", "cmd", "conformance"), join(tools, "go", "conformance"));
    // A static file, as its users copy it.
    buildGo(present("go", "verify", "cmd", "fluo-kms-verify"), join(tools, "go", "fluo-kms-verify"), {
      CGO_ENABLED: "0",
    });
    await installGo(staticcheck);
  },

  async python() {
    need("python3", ["-m", "venv", "--help"]);
    const folder = present("python");
    const packages = await installPythonPackages();
    if (!isShortRun()) {
      const works = ["python", "-c", "import grpc, google.protobuf, pytest"] as const;
      await installEnvironment(pythonLowest, present("python", "requirements-lowest.txt"), works);
    }
    await installPackages("pyright", join(import.meta.dirname, "pyright"));
    generated("python", "clients/python/src/fluo", ["clients/python/backend.py"]);
    const leads = join(python, `${basename(packages)}.pth`);
    whereChanged("python", ["clients/python", "proto"], [leads], () => {
      const wheels = join(tools, "python-dist");
      rmSync(wheels, { recursive: true, force: true });
      rmSync(python, { recursive: true, force: true });
      const builder = join(packages, "bin", "python");
      // As it is released: a source distribution, and the wheel from it. The generator, of the lowest version that is supported, asks for a
      // protobuf as old as itself, but only to load messages.
      command(builder, ["-m", "build", "--no-isolation", "--skip-dependency-check", "--outdir", wheels, folder]);
      const [wheel] = globSync(join(wheels, "*.whl"));
      // An environment with nothing but the wheel, which finds the packages by a file that names their folder.
      command("python3", ["-m", "venv", "--without-pip", python]);
      const [own] = globSync(join(python, "lib", "*", "site-packages"));
      const [others] = globSync(join(packages, "lib", "*", "site-packages"));
      writeFileSync(join(own!, "packages.pth"), `${others}\n`);
      const options = ["--quiet", "--no-deps", "--disable-pip-version-check"];
      command(builder, ["-m", "pip", "--python", join(pythonBin, "python"), "install", ...options, wheel!]);
      writeFileSync(leads, "");
    });
  },

  java() {
    need("mvn");
    const folder = present("java", "pom.xml");
    const built = join(dirname(folder), "target", "conformance.classpath");
    whereChanged("java", ["clients/java", "proto"], [built], () => {
      // The client's own test, `mvn verify`, makes the documentation: half of the time.
      const options = ["-q", "-B", "-ntp", "-DskipTests", "-Dmaven.javadoc.skip=true"];
      command("mvn", [...options, "verify"], { cwd: dirname(folder) });
    });
  },

  async typescript() {
    need("npm");
    await installPrisma();
    await provideChromium();
    const folder = dirname(present("typescript", "package.json"));
    const own = present("typescript", "conformance", "package-lock.json");
    const place = join(tools, "typescript");
    const built = join(folder, "dist", "verify.js");
    whereChanged("typescript", ["clients/typescript", "gen/ts", "proto"], [built], () => {
      rmSync(place, { recursive: true, force: true });
      cpSync(dirname(own), place, { recursive: true });
      command("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: place });
      const packed = JSON.parse(
        command("npm", ["pack", "--json", "--pack-destination", place], { cwd: folder }).replace(/^[^[]*/, ""),
      );
      const tarball = `./${packed[0].filename}`;
      command("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", tarball], { cwd: place });
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
    installOnMachine(() => !isThere("ruby", ["-e", gems]), packages);
  },

  async rust() {
    need("cargo");
    const manifest = present("rust", "conformance", "Cargo.toml");
    generated("rust", "clients/rust/fluo.kms.v1.binpb");
    await provideRustDependencies();
    command("cargo", ["build", "--quiet", "--locked", "--manifest-path", manifest, "--target-dir", rustTarget]);
  },
};

/**
 * Installs Prisma as `tools/clients/prisma`, with the client of the schema that the tests of the TypeScript client have. Prisma downloads an engine for
 * migrations when it starts, which generating a client does not use: it is told of another file.
 */
async function installPrisma(): Promise<void> {
  const folder = present("typescript", "test", "prisma");
  const files = ["package.json", "package-lock.json", "schema.prisma", "prisma.config.ts"];
  const inputs = files.map((file) => readFileSync(join(folder, file), "utf8"));
  const entry = await cached("prisma", inputs, (made) => {
    for (const file of files) cpSync(join(folder, file), join(made, file));
    command("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: made });
    const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: "1" };
    command(join(made, "node_modules", ".bin", "prisma"), ["generate"], { cwd: made, env });
  });
  linkTool(join("clients", "prisma"), entry);
}

/** Has the browser of the tests of pages. The others do without it. */
async function provideChromium(): Promise<void> {
  try {
    await installChromium();
  } catch (error) {
    if (isRequired()) throw error;
    notRun("clients/typescript/pages", (error as Error).message);
  }
}

/** Returns the folder of the environment that builds and checks the client in Python. */
export function installPythonPackages(): Promise<string> {
  const works = ["python", "-c", "import grpc, google.protobuf, grpc_tools.protoc, build"] as const;
  return installEnvironment(pythonPackages, present("python", "requirements.txt"), works);
}

/**
 * Gives the target folder of this clone the compiled dependencies, as it is dear to compile them: copied, since Cargo writes into the folder.
 * The entry is what a build, the tests and the lints leave behind without our own crates.
 */
async function provideRustDependencies(): Promise<void> {
  if (existsSync(rustTarget)) return;
  const crates = ["clients/rust", "clients/rust/conformance", "examples/rust"];
  const manifests = crates.map((crate) => readFileSync(join(root, crate, "Cargo.toml"), "utf8"));
  const lock = readFileSync(join(clients, "rust", "Cargo.lock"), "utf8");
  const compiler = command("rustc", ["--version", "--verbose"]) + (process.env.RUSTFLAGS ?? "");
  const entry = await cached("rust-dependencies", [compiler, lock, ...manifests, "in target"], (made) => {
    const cwd = join(clients, "rust");
    // Cargo marks a folder that it makes itself, and cleans no other.
    const target = join(made, "target");
    const options = ["--quiet", "--locked", "--workspace", "--target-dir", target];
    command("cargo", ["test", "--no-run", ...options], { cwd });
    command("cargo", ["build", ...options], { cwd });
    command("cargo", ["clippy", "--all-targets", ...options], { cwd });
    const own = manifests.flatMap((text) => ["--package", /^name = "(.+)"$/m.exec(text)![1]!]);
    command("cargo", ["clean", "--quiet", "--target-dir", target, ...own], { cwd });
  });
  const copy = `${rustTarget}.${process.pid}`;
  command("cp", ["-a", join(entry, "target"), copy]);
  putInPlace(copy, rustTarget);
}

/** Throws where the client, or this part of it, is not there. */
function present(...path: string[]): string {
  const file = join(clients, ...path);
  if (!existsSync(file)) throw new Error(`${join("clients", ...path)} is not there`);
  return file;
}

/** Generates the code of a language into the tree, unless it is there as proto/ and the generator make it. */
function generated(language: string, output: string, generator: readonly string[] = []): void {
  whereChanged(`generated-${language}`, ["proto", ...generator], [join(root, output)], () => {
    command(process.execPath, [join(root, "scripts", "generate-clients.ts"), language], { cwd: root });
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
  const files = command("git", ["-c", "safe.directory=*", ...args], { cwd: root })
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
