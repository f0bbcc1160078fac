/**
 * Sources from which each language's own installer takes the package that was built here, by the name on the page: a file-system proxy of
 * Go's, a Maven repository, a registry of npm's, a source of gems. Paths tell pip and Cargo. Dependencies come from the
 * machine's own registries.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, dirname, join, relative } from "node:path";
import packageJson from "../../../package.json" with { type: "json" };
import { cacheFolder } from "../../../scripts/tools/cache.ts";

export interface Shop {
  /** Names of the files in the package, within its outermost folder. */
  contents: readonly string[];
  /** Added to the environment of every command. */
  env?: Readonly<Record<string, string>>;
  /** Files that the folder has before anything is done, by their names: settings alone. */
  settings?: Readonly<Record<string, string>>;
  /** Changes a command of the page, where the installer takes no other way. */
  command?: (script: string) => string;
  close?: () => void;
}

const root = join(import.meta.dirname, "..", "..", "..");
const clients = join(root, "clients");
/** Output of the runner, and caches that are kept between runs. */
const tools = join(root, "tools", "clients");
const { version } = packageJson;
const goFolder = join(clients, "go");
/** Folders of the modules in Go, by their paths. */
const goModules: Readonly<Record<string, string>> = {
  "github.com/fluo-dev/fluo-kms/clients/go": goFolder,
  "github.com/fluo-dev/fluo-kms/clients/go/verify": join(goFolder, "verify"),
};

/** `work` is an empty folder. Each throws if its package cannot be had. */
export const shops: Readonly<Record<string, (work: string) => Promise<Shop> | Shop>> = {
  go(work) {
    const contents = Object.entries(goModules).flatMap(([module, folder]) => {
      const versions = join(work, ...module.split("/"), "@v");
      mkdirSync(versions, { recursive: true });
      writeFileSync(join(versions, "list"), `v${version}\n`);
      writeFileSync(
        join(versions, `v${version}.info`),
        JSON.stringify({ Version: `v${version}`, Time: "2026-01-01T00:00:00Z" }),
      );
      copyFileSync(join(folder, "go.mod"), join(versions, `v${version}.mod`));
      const zip = join(versions, `v${version}.zip`);
      archiveOfModule({ work, module, folder, zip });
      return namesInZip(zip).map((name) =>
        join(relative(goFolder, folder), name.replace(`${module}@v${version}/`, "")),
      );
    });
    // A cache of its own, without the module: under this version an earlier run may have left another one.
    const cache = join(tools, "newcomer-go");
    for (const kept of [
      join(cache, "cache", "download", "github.com", "fluo-dev"),
      join(cache, "github.com", "fluo-dev"),
    ])
      rmSync(kept, { recursive: true, force: true });
    const others = join(run("go", ["env", "GOMODCACHE"]).trim(), "cache", "download");
    return {
      contents,
      env: {
        GOPROXY: [`file://${work}`, `file://${others}`, run("go", ["env", "GOPROXY"]).trim()].join(","),
        GOMODCACHE: cache,
        GONOSUMDB: Object.keys(goModules).join(","),
        // Go indexes the imports of a module in that cache once a path, and would go on with those of an earlier run.
        GODEBUG: "goindex=0",
        // Makes a cache that can be removed.
        GOFLAGS: "-modcacherw",
      },
    };
  },

  python() {
    const wheel = built("python-dist/*.whl");
    // A constraint would do, but that pip takes none with a path for a package with extras.
    const here = (line: string) => line.replace(/'?\bfluo-kms(\[[\w,]+\])?'?/, `'fluo-kms$1 @ file://${wheel}'`);
    return {
      contents: namesInZip(wheel),
      env: { PIP_DISABLE_PIP_VERSION_CHECK: "1" },
      command: (script) => script.replace(/^.*\bpip install .*$/gm, here),
    };
  },

  java(work) {
    const folder = join(work, "repository", "dev", "fluo", "fluo-kms", version);
    const jar = join(clients, "java", "target", `fluo-kms-${version}.jar`);
    mkdirSync(folder, { recursive: true });
    copyFileSync(jar, join(folder, basename(jar)));
    copyFileSync(join(clients, "java", "pom.xml"), join(folder, `fluo-kms-${version}.pom`));
    const settings = join(work, "settings.xml");
    writeFileSync(settings, mavenSettings(join(work, "repository")));
    return {
      contents: namesInZip(jar),
      settings: { ".mvn/maven.config": `-s\n${settings}\n-Dmaven.repo.local=${join(work, "local")}\n` },
    };
  },

  async typescript() {
    const tarball = built("typescript/*.tgz");
    const registry = await npmRegistry(tarball);
    return {
      contents: namesInTar(tarball),
      settings: { ".npmrc": `@fluo:registry=${registry.url}\n` },
      close: registry.close,
    };
  },

  ruby(work) {
    const [gems, home, gemrc] = [join(work, "source", "gems"), join(work, "home"), join(work, "gemrc")];
    mkdirSync(gems, { recursive: true });
    const gem = join(gems, `fluo-kms-${version}.gem`);
    run("gem", ["build", "--strict", "--output", gem, "fluo-kms.gemspec"], join(clients, "ruby"));
    run("gem", ["generate_index", "--directory", dirname(gems)]);
    writeFileSync(gemrc, `:sources:\n- file://${dirname(gems)}\ngem: --no-document\n`);
    const path = `${home}:${run("gem", ["env", "gempath"]).trim()}`;
    const contents = run("gem", ["specification", gem, "files", "--yaml"]).matchAll(/^- (.+)$/gm);
    return {
      contents: [...contents].map(([, name]) => name!),
      env: { GEMRC: gemrc, GEM_HOME: home, GEM_PATH: path, GEM_SPEC_CACHE: join(work, "specs") },
    };
  },

  rust(work) {
    const target = join(tools, "rust");
    // The descriptors are in the package and not in git, which Cargo takes for a change that was forgotten.
    const packed = ["package", "--quiet", "--locked", "--no-verify", "--allow-dirty", "--package", "fluo-kms"];
    run("cargo", [...packed, "--target-dir", target], join(clients, "rust"));
    run("tar", ["-xzf", join(target, "package", `fluo-kms-${version}.crate`), "-C", work]);
    const crate = join(work, `fluo-kms-${version}`);
    return {
      contents: namesInTar(join(target, "package", `fluo-kms-${version}.crate`)),
      // Dependencies are compiled there already, as far as they are of the same versions.
      env: { CARGO_TARGET_DIR: target, CARGO_BUILD_JOBS: "2" },
      command: (script) => script.replace(/^cargo add fluo-kms$/m, `cargo add fluo-kms --path ${crate}`),
    };
  },
};

interface ArchivedModule {
  /** For the index of git. */
  work: string;
  module: string;
  folder: string;
  zip: string;
}

/**
 * Writes a module as Go's proxies have it: the files that git would commit, without modules of their own within it. Go
 * adds the LICENSE of the repository where the module's folder has none.
 */
function archiveOfModule({ work, module, folder, zip }: ArchivedModule): void {
  const path = relative(root, folder);
  const git = (...args: string[]) =>
    run("git", ["-c", "safe.directory=*", ...args], root, { GIT_INDEX_FILE: join(work, "index") }).trim();
  git("add", "--all", path);
  const tree = git("write-tree", `--prefix=${path}/`);
  const nested = globSync("*/**/go.mod", { cwd: folder }).map((file) => `:(exclude)${dirname(file)}`);
  git("archive", "--format=zip", `--prefix=${module}@v${version}/`, `--output=${zip}`, tree, ".", ...nested);
}

/**
 * Settings for which the packages of the cache are a remote repository, so that Maven downloads the missing ones alone. `repository` has
 * others.
 */
export function mavenSettings(repository?: string): string {
  const remote = (id: string, folder: string) =>
    `<repository><id>${id}</id><url>file://${folder}</url><snapshots><enabled>false</enabled></snapshots></repository>`;
  const plugins = (id: string, folder: string) => remote(id, folder).replaceAll("repository>", "pluginRepository>");
  const known = join(cacheFolder(), "packages", "maven");
  return `<settings>
  <profiles><profile><id>newcomer</id>
    <repositories>${repository ? remote("built", repository) : ""}${remote("known", known)}</repositories>
    <pluginRepositories>${plugins("known", known)}</pluginRepositories>
  </profile></profiles>
  <activeProfiles><activeProfile>newcomer</activeProfile></activeProfiles>
</settings>
`;
}

/** Serves one package as npm's registry does. */
async function npmRegistry(tarball: string): Promise<{ url: string; close: () => void }> {
  const bytes = readFileSync(tarball);
  const manifest = JSON.parse(run("tar", ["-xzOf", tarball, "package/package.json"]));
  const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  const server = createServer((request, response) => {
    if (request.url === "/package.tgz") return void response.end(bytes);
    if (decodeURIComponent(request.url ?? "") !== `/${manifest.name}`) return void response.writeHead(404).end();
    const dist = { tarball: `${url}package.tgz`, integrity };
    const versions = { [manifest.version]: { ...manifest, dist } };
    const document = { name: manifest.name, "dist-tags": { latest: manifest.version }, versions };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(document));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    url,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Names of the files, without folders. */
function namesInTar(file: string): string[] {
  const names = run("tar", ["-tzf", file]).trimEnd().split("\n");
  return names.filter((name) => !name.endsWith("/")).map((name) => name.slice(name.indexOf("/") + 1));
}

function namesInZip(file: string): string[] {
  const list = "import sys, zipfile; print('\\n'.join(zipfile.ZipFile(sys.argv[1]).namelist()))";
  const names = run("python3", ["-c", list, file]).trimEnd().split("\n");
  return names.filter((name) => !name.endsWith("/"));
}

function built(pattern: string): string {
  const [file, ...others] = globSync(join(tools, pattern));
  if (file === undefined || others.length > 0)
    throw new Error(`tools/clients/${pattern} is not one file: run \`npm run test:clients -- --install\``);
  return file;
}

function run(command: string, args: readonly string[], cwd = root, env: Record<string, string> = {}): string {
  const options = { cwd, env: { ...process.env, ...env }, encoding: "utf8", maxBuffer: 2 ** 28 } as const;
  const { error, status, stdout, stderr } = spawnSync(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? stdout + stderr}`);
  return stdout;
}
