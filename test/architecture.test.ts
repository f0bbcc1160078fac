/**
 * The import rules of the house, read from the import statements of src/: static and dynamic ones, those of types, and `require`. Paths
 * are relative to src/; a file outside keeps its `../`, and a package is its own name.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, it } from "vitest";

interface Import {
  /** What is imported: a path relative to src/, or a package. */
  of: string;
  /** Whether it is only of types, and gone before the code runs. */
  types: boolean;
  /** Whether it happens when it is called for. */
  dynamic: boolean;
}

interface Source {
  path: string;
  /** Without comments. */
  code: string;
  imports: Import[];
}

const src = join(import.meta.dirname, "..", "src");

function readSources(): Source[] {
  return readdirSync(src, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.[jt]s$/.test(path))
    .map((path) => source(path.replaceAll("\\", "/"), readFileSync(join(src, path), "utf8")));
}

function source(path: string, text: string): Source {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
  const statements = code.matchAll(/^(?:import|export)\s+(?:(?<what>[^;"']*?)\s*from\s*)?["'](?<of>[^"']+)["']/gm);
  const calls = code.matchAll(
    /(?<![.\w])(?:import\((?:\s*["'](?<of>[^"']+)["'])?|(?:require|createRequire\([^)]*\))\(\s*["'](?<required>[^"']+)["'])/g,
  );
  const imports = [
    ...[...statements].map(({ groups }) => ({ of: groups!.of!, types: isTypesOnly(groups!.what), dynamic: false })),
    // A name that is put together at run time is none that these rules could allow.
    ...[...calls].map(({ groups }) => ({ of: groups?.of ?? groups?.required ?? "?", types: false, dynamic: true })),
  ];
  return { path, code, imports: imports.map((each) => ({ ...each, of: resolved(path, each.of) })) };
}

function isTypesOnly(what: string | undefined): boolean {
  if (what === undefined) return false;
  if (/^type\b/.test(what)) return true;
  const names = /^\{([\s\S]*)\}$/
    .exec(what)?.[1]
    ?.split(",")
    .map((name) => name.trim());
  return names?.every((name) => name === "" || name.startsWith("type ")) ?? false;
}

function resolved(path: string, of: string): string {
  return of.startsWith(".") ? posix.join(posix.dirname(path), of) : of;
}

/**
 * The folders of src/, and what each may import beside its own files, Node and store/sqlite/error-codes.ts: folders (their own files, not those of their
 * folders), or single files. A file that has a line of its own follows that. Types count.
 */
const mayImport: Record<string, readonly string[]> = {
  "alarm.ts": [],
  attestation: ["crypto", "encoding", "otlp", "tlog"],
  audit: ["alarm.ts", "call", "failpoints.ts", "keys", "keys/rotation", "runtime", "store", "telemetry.ts"],
  batch: ["attestation", "crypto", "encoding", "otlp", "runtime", "tlog"],
  "batch/pool": ["batch", "crypto", "runtime", "tlog"],
  call: [],
  cli: [
    "cli/commands",
    "cli/sign",
    "config",
    "encoding",
    "keys",
    "keys/store-key",
    "provider",
    "provider-keys",
    "store",
    "store/offline",
    "tlog",
    "version.ts",
  ],
  "cli/check": ["cli", "cli/verify", "keys", "provider-keys", "store", "store/offline", "tlog"],
  "cli/commands": [
    "cli",
    "cli/check",
    "cli/demo",
    "cli/sign",
    "cli/verify",
    "config",
    "encoding",
    "provider-keys",
    "server.ts",
    "store",
    "store/offline",
    "tlog",
  ],
  "cli/demo": ["cli", "cli/sign", "cli/verify"],
  "cli/sign": ["attestation", "cli", "cli/verify", "config", "encoding", "otlp"],
  "cli/verify": ["attestation", "cli", "encoding", "otlp", "store", "store/offline", "tlog"],
  config: ["provider", "provider-keys", "store"],
  crypto: [],
  encoding: [],
  envelope: ["crypto"],
  "errors.ts": [],
  "failpoints.ts": [],
  health: ["alarm.ts", "provider-keys", "runtime", "store"],
  keys: [
    "crypto",
    "envelope",
    "failpoints.ts",
    "keys/rotation",
    "keys/store-key",
    "provider",
    "provider-keys",
    "runtime",
    "store",
    "version.ts",
  ],
  "keys/rotation": ["failpoints.ts", "keys", "runtime", "store", "version.ts"],
  "keys/store-key": ["failpoints.ts", "keys", "provider", "provider-keys", "store"],
  "main.js": ["cli", "runtime"],
  "observed.ts": ["health", "keys", "provider-keys", "telemetry.ts"],
  otlp: ["encoding"],
  "process.ts": ["runtime", "telemetry.ts", "version.ts"],
  provider: ["crypto", "provider/aws", "provider/azure", "provider/gcp", "provider/local", "provider/vault", "runtime"],
  "provider-keys": ["alarm.ts", "provider", "runtime", "store", "telemetry.ts"],
  "provider/aws": ["crypto", "provider", "runtime"],
  "provider/azure": ["crypto", "provider", "runtime"],
  "provider/gcp": ["crypto", "encoding", "provider", "runtime"],
  "provider/local": ["crypto", "provider", "runtime"],
  "provider/vault": ["crypto", "encoding", "provider", "runtime"],
  runtime: [],
  "server.ts": [
    "alarm.ts",
    "audit",
    "batch/pool",
    "config",
    "health",
    "keys",
    "keys/rotation",
    "keys/store-key",
    "observed.ts",
    "process.ts",
    "provider-keys",
    "service",
    "telemetry.ts",
    "tenant-log",
    "transport",
    "version.ts",
  ],
  service: [
    "alarm.ts",
    "audit",
    "batch/pool",
    "call",
    "health",
    "keys",
    "keys/rotation",
    "provider-keys",
    "service/key-admin",
    "service/kms",
    "service/kms/validate",
    "service/log",
    "store",
    "telemetry.ts",
    "tenant-log",
    "version.ts",
  ],
  "service/codec": ["attestation", "batch", "encoding", "otlp"],
  "service/key-admin": ["audit", "call", "keys", "service", "store"],
  "service/kms": [
    "attestation",
    "audit",
    "batch",
    "batch/pool",
    "call",
    "crypto",
    "envelope",
    "health",
    "keys",
    "keys/rotation",
    "provider",
    "provider-keys",
    "runtime",
    "service",
    "service/codec",
    "service/kms/validate",
    "store",
    "telemetry.ts",
    "tenant-log",
    "tlog",
  ],
  "service/kms/validate": [
    "attestation",
    "call",
    "crypto",
    "envelope",
    "keys",
    "provider",
    "provider-keys",
    "runtime",
    "service/codec",
    "store/sqlite",
  ],
  "service/log": ["audit", "call", "service", "tenant-log", "tlog"],
  store: ["store/offline", "store/postgres", "store/sqlite"],
  "store/offline": ["store", "store/postgres", "store/sql", "store/sqlite"],
  "store/postgres": ["failpoints.ts", "store", "store/sql"],
  "store/sql": ["store", "tlog"],
  "store/sqlite": ["failpoints.ts", "store", "store/sql"],
  "telemetry.ts": [],
  "tenant-log": [
    "attestation",
    "batch",
    "batch/pool",
    "failpoints.ts",
    "keys",
    "keys/rotation",
    "runtime",
    "store",
    "tlog",
  ],
  tlog: ["crypto", "encoding"],
  transport: [
    "audit",
    "call",
    "health",
    "service",
    "service/codec",
    "service/key-admin",
    "service/kms",
    "service/log",
    "telemetry.ts",
    "transport/grpc",
    "transport/http",
  ],
  "transport/grpc": ["call", "health", "transport", "transport/grpc/http2", "transport/grpc/stream"],
  "transport/grpc/http2": ["runtime", "transport"],
  "transport/grpc/stream": ["call", "runtime", "transport", "transport/grpc", "transport/grpc/http2"],
  "transport/http": ["call", "health", "service/kms", "service/log", "transport"],
  "version.ts": ["../package.json"],
};

/** Packages that only some folders may import: by the beginning of their names. Any other is free for all. */
const packages: Record<string, readonly string[]> = {
  "@aws-sdk/client-kms": ["provider/aws"],
  "@azure": ["provider/azure"],
  "@bufbuild/protobuf": [
    "cli",
    "cli/verify",
    "service",
    "service/codec",
    "service/key-admin",
    "service/kms",
    "service/kms/validate",
    "service/log",
    "transport",
    "transport/grpc",
    "transport/grpc/stream",
    "transport/http",
  ],
  "@connectrpc": ["transport", "transport/http"],
  "@grpc": ["cli/grpc-client.ts", "transport", "transport/grpc", "transport/grpc/http2", "transport/grpc/stream"],
  "@opentelemetry": ["service", "telemetry.ts", "transport"],
  admin: ["service/key-admin"],
  cockatiel: ["provider"],
  croner: ["config", "keys/rotation"],
  "dot-properties": ["config"],
  "google-auth-library": ["provider/gcp"],
  "grpc-health-check": ["transport/grpc"],
  "lru-cache": ["keys", "tenant-log"],
  operator: ["service/kms", "service/kms/validate"],
  pg: ["store/postgres"],
  pino: [
    "audit",
    "health",
    "keys",
    "keys/store-key",
    "process.ts",
    "provider-keys",
    "runtime",
    "service",
    "transport",
    "transport/grpc",
  ],
  "sodium-native": ["crypto"],
};

/** Folders that do no I/O and know no clock and no environment. */
const pure: readonly string[] = ["crypto", "encoding", "envelope", "otlp", "tlog", "attestation", "batch"];

/** Files that alone load others of their folders, when these are chosen: by a dynamic import. */
const loadedByRegistry: Record<string, RegExp> = {
  "provider/registry.ts": /^provider\/[a-z]+\/open\.ts$/,
  "store/registry.ts": /^store\/(sqlite|postgres)\/open\.ts$/,
};

/** What each rule says, and what in the sources breaks it. */
const rules: Record<string, (sources: readonly Source[]) => string[]> = {
  "a folder imports what its line in the table names": (sources) =>
    eachImport(sources, ({ path }, { of }) => !isPackage(of) && !isAllowed(path, of)),

  "a package belongs to the folders that the table of packages names": (sources) =>
    eachImport(sources, ({ path }, { of }) =>
      Object.entries(packages).some(
        ([name, owners]) => (of === name || of.startsWith(`${name}/`)) && !owners.some((owner) => isIn(path, owner)),
      ),
    ),

  "no file imports itself, through others or not, and be it for types": fileCircles,

  "no two folders of src/ import each other, through others or not": folderCircles,

  "pure folders do no I/O and know no clock and no environment": (sources) =>
    sources
      .filter(({ path }) => pure.includes(folderOf(path)))
      .flatMap(({ path, code, imports }) => [
        ...[
          ...code.matchAll(
            /\b(process|Date\.now|new Date\(\)|Date\(\)|performance|set(Timeout|Interval|Immediate)|fetch|console|WebSocket)\b|new Date\(\)/g,
          ),
        ].map(([word]) => `${path} uses ${word}`),
        ...imports
          .filter(({ of }) => isPackage(of) && !/^node:crypto$/.test(of) && path !== "crypto/sodium.ts")
          .map(({ of }) => `${path} imports ${of}`),
      ]),

  "a provider and a store are loaded by their registry, when they are chosen": (sources) =>
    Object.entries(loadedByRegistry).flatMap(([registry, loaded]) =>
      eachImport(
        sources,
        ({ path }, { of, types, dynamic }) =>
          loaded.test(of) &&
          folderOf(path) !== folderOf(of) &&
          posix.basename(path, ".ts") !== posix.basename(folderOf(of)) && // store/offline/sqlite.ts
          !(path === registry && (types || dynamic)),
      ),
    ),

  "the client of the command line is loaded only when it is called": (sources) =>
    eachImport(sources, (_, { of, types, dynamic }) => of === "cli/grpc-client.ts" && !types && !dynamic),

  "generated code is for transport and service, and for OTLP JSON and the client in the command line": (sources) =>
    eachImport(
      sources,
      ({ path }, { of }) =>
        of.startsWith("../gen/") && !/^(transport\/|service\/|cli\/((verify\/)?otlp-json|grpc-client)\.ts$)/.test(path),
    ),

  "only the configuration reads the environment": (sources) =>
    sources
      .filter(({ path, code, imports }) => {
        if (/^(config(\/|\.ts$)|(runtime\/)?compile-cache\.js$)/.test(path)) return false; // the latter writes to it
        return (
          /\bprocess\??\s*(\.|\[\s*["'])\s*env\b|\benv\b[^=;]*\}\s*=\s*process\b/.test(code) ||
          imports.some(({ of }) => of === "node:process")
        );
      })
      .map(({ path }) => `${path} reads the environment`),
};

function isPackage(of: string): boolean {
  return /^[@a-z][^.]*$/.test(of) && !sourceFolders.has(of.split("/")[0]!);
}

const sourceFolders = new Set(Object.keys(mayImport).map((folder) => folder.split("/")[0]!));

function isAllowed(path: string, of: string): boolean {
  if (of.startsWith("../gen/")) return true; // has a rule of its own
  if (of === "errors.ts") return path !== of;
  const allowed = mayImport[path] ?? mayImport[folderOf(path)];
  if (allowed === undefined) return false;
  return folderOf(of) === folderOf(path)
    ? folderOf(of) !== "" || allowed.includes(of)
    : allowed.some((each) => each === of || each === folderOf(of));
}

/** `provider/aws` for `provider/aws/open.ts`, and nothing for a file at the top of src/. */
function folderOf(path: string): string {
  return path.includes("/") ? posix.dirname(path) : "";
}

function isIn(path: string, owner: string): boolean {
  return path === owner || path.startsWith(`${owner}/`);
}

function eachImport(sources: readonly Source[], breaks: (file: Source, imported: Import) => boolean): string[] {
  return sources.flatMap((file) =>
    file.imports.filter((imported) => breaks(file, imported)).map(({ of }) => `${file.path} imports ${of}`),
  );
}

function fileCircles(sources: readonly Source[]): string[] {
  return circles(
    new Map(sources.map(({ path, imports }) => [path, imports.filter(({ types }) => !types).map(({ of }) => of)])),
  );
}

/** The folders at the top of src/ with all that lies in them. */
function folderCircles(sources: readonly Source[]): string[] {
  const top = (path: string) => path.split("/")[0]!;
  const importsOf = new Map<string, string[]>();
  for (const { path, imports } of sources) {
    const others = imports
      .filter(({ types }) => !types)
      .map(({ of }) => top(of))
      .filter((of) => of !== top(path));
    importsOf.set(top(path), [...(importsOf.get(top(path)) ?? []), ...others]);
  }
  return circles(importsOf);
}

function circles(importsOf: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) found.push([...trail.slice(trail.indexOf(path)), path].join(" imports "));
    if (trail.includes(path) || done.has(path)) return;
    for (const of of importsOf.get(path) ?? []) visit(of, [...trail, path]);
    done.add(path);
  };
  for (const path of importsOf.keys()) visit(path, []);
  return found;
}

describe("the imports of src/", () => {
  const sources = readSources();

  it("are read: every file, and hundreds of imports", () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(sources.flatMap(({ imports }) => imports).length).toBeGreaterThan(200);
    expect(sources.find(({ path }) => path === "server.ts")?.imports).toContainEqual({
      of: "keys/keyring.ts",
      types: false,
      dynamic: false,
    });
  });

  it.each(Object.entries(rules))("%s", (_says, broken) => {
    expect(broken(sources)).toEqual([]);
  });
});
