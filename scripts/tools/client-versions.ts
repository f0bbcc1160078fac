/**
 * Versions of languages that the clients' packages claim, from the files that claim them, and how each is had. `provide` returns what the
 * conformance program is started by: an interpreter, or the program built by that version. It throws if the version cannot be had.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { LanguageName } from "../../clients/conformance/programs.ts";
import { cached } from "./cache.ts";
import { root, rustTarget } from "./client-builds.ts";
import { command, isThere } from "./command.ts";
import { installPackages } from "./npm-packages.ts";

export interface ClientVersion {
  title: string;
  provide: () => Promise<string> | string;
}

const built = join(root, "tools", "clients");

export function versionsOf(language: LanguageName): readonly ClientVersion[] {
  return versions[language]();
}

const versions: Readonly<Record<LanguageName, () => readonly ClientVersion[]>> = {
  go: () => [goVersion(claimed("go/go.mod", /^go (.+)$/m)), goVersion("local")],

  python() {
    const lowest = claimed("python/pyproject.toml", /^requires-python = ">=(.+)"$/m);
    const classifiers = text("python/pyproject.toml").matchAll(/"Programming Language :: Python :: (3\.\d+)"/g);
    const newest = [...classifiers].at(-1)![1]!;
    return [pythonVersion(lowest, "lowest"), pythonVersion(newest, "newest")];
  },

  java() {
    const lowest = Number(claimed("java/pom.xml", /<maven\.compiler\.release>(\d+)</));
    const here = javasHere();
    const newest = Math.max(lowest, ...here.keys());
    return [...new Set([lowest, newest])].map((version) => ({
      title: `Java ${version}`,
      provide: () => here.get(version) ?? missing(`a JDK ${version} in /usr/lib/jvm`),
    }));
  },

  typescript: () => [
    {
      title: `Node ${claimed("typescript/package.json", /"node": ">=(\d+)"/)}`,
      async provide() {
        const folder = await installPackages("nodes-22", join(import.meta.dirname, "nodes-22"));
        const [node] = globSync(join(folder, "node_modules", "node-*", "bin", "node"));
        return node ?? missing("a package of Node 22 for this system");
      },
    },
    { title: `Node ${process.version.slice(1)}`, provide: () => process.execPath },
  ],

  ruby: () => [
    {
      title: `Ruby ${claimed("ruby/fluo-kms.gemspec", /required_ruby_version = ">= (.+)"/)} or what is on the PATH`,
      provide: () => (isThere("ruby") ? "ruby" : missing("Ruby")),
    },
  ],

  rust: () => [rustVersion(claimed("rust/Cargo.toml", /^rust-version = "(.+)"$/m)), rustVersion("on the PATH")],
};

/** Built by the toolchain, which Go gets from its proxy. */
function goVersion(version: string): ClientVersion {
  return {
    title: version === "local" ? "Go on the PATH" : `Go ${version}`,
    provide() {
      const program = join(built, "go", `conformance-${version}`);
      const folder = join(root, "clients", "go", "cmd", "conformance");
      const env = { GOTOOLCHAIN: version === "local" ? version : `go${version}` };
      command("go", ["build", "-C", folder, "-buildvcs=false", "-o", program, "."], { env });
      return program;
    },
  };
}

/** An environment with the wheel that was built, and the lowest or the newest versions of all that it needs. */
function pythonVersion(version: string, which: "lowest" | "newest"): ClientVersion {
  return {
    title: `Python ${version}, ${which} dependencies`,
    async provide() {
      const python = pythonHere(version);
      const [wheel] = globSync(join(built, "python-dist", "*.whl"));
      const constraints = which === "lowest" ? lowestOf(text("python/pyproject.toml")) : "";
      const needs = [`${wheel}[verify,files,otel]`, "opentelemetry-exporter-otlp-proto-http"];
      const folder = await cached(
        `python-${version}-${which}`,
        [readFileSync(wheel!, "base64"), constraints],
        (made) => {
          const file = join(made, "constraints.txt");
          command(python, ["-m", "venv", join(made, "venv")]);
          writeFileSync(file, constraints);
          const options = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-c", file];
          command(join(made, "venv", "bin", "python"), ["-m", "pip", "install", ...options, ...needs]);
        },
      );
      return join(folder, "venv", "bin", "python");
    },
  };
}

/** Constraints with the lower bound of each dependency, and of the exporter that goes with the SDK. */
export function lowestOf(pyproject: string): string {
  const dependencies = pyproject.slice(pyproject.indexOf("\ndependencies = ["), pyproject.indexOf("[project.scripts]"));
  const bounds = [...dependencies.matchAll(/"([\w-]+)>=([\d.]+)/g)].map(
    ([, name, version]) => [name!, version!] as const,
  );
  const sdk = bounds.find(([name]) => name === "opentelemetry-sdk")?.[1];
  const all = new Map([...bounds, ...(sdk ? [["opentelemetry-exporter-otlp-proto-http", sdk] as const] : [])]);
  return [...all].map(([name, version]) => `${name}==${version}\n`).join("");
}

/** Returns the interpreter of a version, from the PATH or from pyenv. */
function pythonHere(version: string): string {
  const asks = ["-c", `import sys; sys.exit(sys.version_info[:2] != (${version.replace(".", ", ")}))`];
  const own = globSync(join(homedir(), ".pyenv", "versions", `${version}.*`, "bin", "python"));
  const found = [`python${version}`, ...own].find((python) => isThere(python, asks));
  return found ?? missing(`python${version} on the PATH or in pyenv`);
}

/** Programs `java` of the JDKs of this machine, by their versions. */
function javasHere(): ReadonlyMap<number, string> {
  const releases = globSync(["/usr/lib/jvm/*/release", "/Library/Java/JavaVirtualMachines/*/Contents/Home/release"]);
  return new Map(
    releases.flatMap((file) => {
      const version = /^JAVA_VERSION="(\d+)/m.exec(readFileSync(file, "utf8"))?.[1];
      return version === undefined ? [] : [[Number(version), join(file, "..", "bin", "java")] as const];
    }),
  );
}

function rustVersion(toolchain: string): ClientVersion {
  return {
    title: `Rust ${toolchain}`,
    provide() {
      const isOwn = toolchain === "on the PATH";
      if (!isOwn) command("rustup", ["toolchain", "install", toolchain, "--profile", "minimal", "--no-self-update"]);
      const target = isOwn ? `${rustTarget}-own` : `${rustTarget}-${toolchain}`;
      const manifest = join(root, "clients", "rust", "conformance", "Cargo.toml");
      const options = ["--quiet", "--locked", "--manifest-path", manifest, "--target-dir", target];
      command("cargo", ["build", ...options], { env: isOwn ? {} : { RUSTUP_TOOLCHAIN: toolchain } });
      return join(target, "debug", "conformance");
    },
  };
}

function text(file: string): string {
  return readFileSync(join(root, "clients", file), "utf8");
}

function claimed(file: string, pattern: RegExp): string {
  const version = pattern.exec(text(file))?.[1];
  if (version === undefined) throw new Error(`clients/${file} claims no version: ${pattern}`);
  return version;
}

function missing(what: string): never {
  throw new Error(`there is no ${what}`);
}
