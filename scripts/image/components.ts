/**
 * The bill of materials: one CycloneDX 1.5 file of npm's packages, Node and what is compiled into it, and Debian's libraries. Each component has
 * a hash: of the package as its registry serves it, or of the file in the image that holds it.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { command } from "../tools/command.ts";
import type { LockedPackage } from "./debian-packages.ts";
import { type Architecture, root, sourceDate } from "./recipe.ts";

interface Component {
  readonly "bom-ref": string;
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly cpe?: string;
  readonly hashes: readonly { readonly alg: string; readonly content: string }[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

interface Locked {
  readonly version: string;
  readonly dev?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

interface Bill {
  serialNumber: string;
  metadata: { timestamp: string; tools: object[]; component: { "bom-ref": string; name: string } };
  components: Component[];
  dependencies: { ref: string; dependsOn?: string[] }[];
}

export interface Contents {
  readonly architecture: Architecture;
  /** The program as the image has it. */
  readonly node: string;
  /** The package of Node, with its headers. */
  readonly nodePackage: string;
  readonly packages: readonly LockedPackage[];
}

/** Interfaces and data in process.versions that nobody links. */
const noLibraries = new Set(["node", "modules", "napi", "cldr", "tz", "unicode"]);

/** Names under which vulnerabilities of what Node contains are listed. */
const cpes: Readonly<Record<string, string>> = {
  openssl: "openssl:openssl",
  zlib: "zlib:zlib",
  icu: "icu-project:international_components_for_unicode",
  nghttp2: "nghttp2:nghttp2",
  sqlite: "sqlite:sqlite",
  ares: "c-ares:c-ares",
  uv: "libuv:libuv",
};

/** Returns the text. It is the same whenever it is made of the same commit and contents. */
export function billOfMaterials(contents: Contents): string {
  // npm's own `--omit dev` leaves out packages of production that packages of development need too: 27 of 212, among them pg.
  const bill: Bill = JSON.parse(
    command("npm", ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"], { cwd: root }),
  );
  const installed = inProduction(contents.architecture);
  bill.components = [
    ...bill.components.filter((each) => installed.has(each["bom-ref"])),
    ...node(contents),
    ...contents.packages.map((each) => debian(each, contents.architecture)),
  ];
  const isListed = (ref: string) => installed.has(ref) || ref === bill.metadata.component["bom-ref"];
  bill.dependencies = bill.dependencies
    .filter(({ ref }) => isListed(ref))
    .map((each) => ({ ...each, dependsOn: each.dependsOn?.filter((ref) => installed.has(ref)) ?? [] }));
  // npm names the project by the folder of the checkout, and tells its own version: neither is of the image.
  bill.metadata.component.name = "fluo-kms";
  bill.metadata.tools = [{ vendor: "npm", name: "cli" }];
  bill.metadata.timestamp = new Date(sourceDate() * 1000).toISOString();
  bill.serialNumber = serialNumber(JSON.stringify(bill.components));
  return `${JSON.stringify(bill, null, 2)}\n`;
}

/** Returns `name@version` of what `npm ci --omit=dev` installs on Linux with this processor. */
function inProduction({ npm }: Architecture): ReadonlySet<string> {
  const { packages }: { packages: Record<string, Locked> } = JSON.parse(
    readFileSync(join(root, "package-lock.json"), "utf8"),
  );
  const fits = ({ dev, os, cpu }: Locked) => !dev && (os?.includes("linux") ?? true) && (cpu?.includes(npm) ?? true);
  const names = Object.entries(packages).filter(([path, each]) => path !== "" && fits(each));
  return new Set(names.map(([path, { version }]) => `${path.split("node_modules/").at(-1)}@${version}`));
}

/** Node, and each library in it with the hash of the program that it is in. */
function node(contents: Contents): Component[] {
  const content = createHash("sha256").update(readFileSync(contents.node)).digest("hex");
  const hashes = [{ alg: "SHA-256", content }];
  const { node: nodeVersion, ...libraries } = versions(contents);
  const program = {
    "bom-ref": `node@${nodeVersion}`,
    type: "application",
    name: "node",
    version: nodeVersion!,
    purl: `pkg:generic/node@${nodeVersion}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${nodeVersion}:*:*:*:*:*:*:*`,
    hashes,
    properties: [{ name: "fluo:file", value: "/usr/bin/node" }],
  };
  return [program, ...Object.entries(libraries).map(([name, version]) => bundled(name, version, hashes))];
}

function bundled(name: string, version: string, hashes: Component["hashes"]): Component {
  const cpe = cpes[name];
  return {
    "bom-ref": `node/${name}@${version}`,
    type: "library",
    name,
    version,
    purl: `pkg:generic/${name}@${encodeURIComponent(version)}`,
    ...(cpe && { cpe: `cpe:2.3:a:${cpe}:${/^[\d.]+[a-z]?/.exec(version)}:*:*:*:*:*:*:*` }),
    hashes,
    properties: [
      { name: "fluo:contained-in", value: "/usr/bin/node" },
      { name: "fluo:hash-of", value: "/usr/bin/node" },
    ],
  };
}

/** Those that Node tells; of another processor, which cannot be asked, those that its headers tell. */
function versions({ architecture, node: program, nodePackage }: Contents): Record<string, string> {
  if (architecture.npm === process.arch) {
    const told: Record<string, string> = JSON.parse(command(program, ["-p", "JSON.stringify(process.versions)"]));
    return Object.fromEntries(
      Object.entries(told).filter(([name, version]) => name === "node" || (version !== "" && !noLibraries.has(name))),
    );
  }
  const header = (file: string, pattern: RegExp) => {
    const found = pattern.exec(readFileSync(join(nodePackage, "include", "node", file), "utf8"))?.slice(1);
    if (found === undefined) throw new Error(`${file} of Node does not tell its version`);
    return found.join(".");
  };
  const nodeVersion = /MAJOR_VERSION (\d+).*MINOR_VERSION (\d+).*PATCH_VERSION (\d+)/s;
  return {
    node: header("node_version.h", nodeVersion),
    openssl: header("openssl/archs/linux-aarch64/asm/include/openssl/opensslv.h", /OPENSSL_VERSION_STR "(.*)"/),
    zlib: header("zlib.h", /ZLIB_VERSION "(.*)"/),
    icu: header("config.gypi", /"icu_ver_major": "(\d+)"/),
  };
}

function debian({ name, version, sha256 }: LockedPackage, architecture: Architecture): Component {
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture.name}&distro=debian-12`;
  return {
    "bom-ref": purl,
    type: "library",
    name,
    version,
    purl,
    hashes: [{ alg: "SHA-256", content: sha256 }],
  };
}

/** A UUID of version 8, RFC 9562, made of what is listed. */
function serialNumber(contents: string): string {
  const hex = createHash("sha256").update(contents).digest("hex");
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return `urn:uuid:${parts.join("-")}`;
}
