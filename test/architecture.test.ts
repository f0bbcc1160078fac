/**
 * The import rules of the house, read from the import statements of src/ themselves: static ones, those of types, dynamic ones and
 * require. Paths are relative to src/; what lies outside keeps its `../`, and a package is its own name.
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

/** Who may import what. A file follows the first line that fits its path; what it imports must fit one of the patterns. */
const mayImport: [files: RegExp, ...allowed: RegExp[]][] = [
  [/^errors\.ts$/],
  [/^memory\.ts$/],
  [/^version\.ts$/, /^\.\.\/package\.json$/],
  // Asked for, not imported: where sodium-native cannot be loaded, node:crypto does its work.
  [/^crypto\/sodium\.ts$/, /^sodium-native$/, /^node:module$/],
  [/^(span|pii|crypto)\//, /^(span|pii|crypto)\//, /^(errors|memory)\.ts$/, /^node:crypto$/],
  [/^provider\/registry\.ts$/, /^errors\.ts$/, /^provider\//],
  [/^provider\/open\.ts$/, /^errors\.ts$/, /^provider\/(failover|registry|resilience)\.ts$/, /^cockatiel$/],
  [/^provider\/failover\.ts$/, /^errors\.ts$/, /^provider\/(provider|registry|resilience)\.ts$/],
  [/^provider\/(provider|resilience)\.ts$/, /^errors\.ts$/, /^crypto\//, /^provider\/provider\.ts$/, /^cockatiel$/],
  [/^provider\/words\.ts$/],
  [/^provider\//, /^errors\.ts$/, /^crypto\//, /^provider\//, /^node:/, /^(?!node:)[@a-z]/],
  [/^log-output\.ts$/, /^node:events$/, /^pino$/],
  [/^steps\.ts$/, /^node:diagnostics_channel$/],
  [/^store\/registry\.ts$/, /^errors\.ts$/, /^store\//],
  [
    /^store\//,
    /^(errors|memory|steps)\.ts$/,
    /^crypto\//,
    /^(keys\/record|span\/entry-run)\.ts$/,
    /^store\//,
    /^node:/,
    /^(?!node:)[@a-z]/,
  ],
  [
    /^keys\//,
    /^(keys|span|pii|crypto)\//,
    /^(errors|steps)\.ts$/,
    /^(provider\/provider|store\/(log-)?store)\.ts$/,
    /^node:(crypto|timers\/promises)$/,
    /^(croner|lru-cache)$/,
  ],
  [
    /^bulk\//,
    /^(bulk|span|crypto)\//,
    /^(errors|forgetting-map|memory)\.ts$/,
    /^keys\/usable\.ts$/,
    /^node:(os|worker_threads)$/,
  ],
  [
    /^log\//,
    /^(log|keys|span|crypto)\//,
    /^bulk\/pool\.ts$/,
    /^(errors|memory|steps)\.ts$/,
    /^store\/(log-)?store\.ts$/,
    /^lru-cache$/,
    /^node:(crypto|timers\/promises)$/,
  ],
  [
    /^service\//,
    /^(service|log|keys|span|pii|crypto)\//,
    /^bulk\/pool\.ts$/,
    /^(errors|telemetry)\.ts$/,
    /^(provider\/provider|store\/(log-)?store)\.ts$/,
    /^\.\.\/gen\//,
    /^node:(crypto|timers\/promises)$/,
    /^@bufbuild\/protobuf(\/|$)/,
    /^@opentelemetry\/api$/,
  ],
  [
    /^transport\//,
    /^(transport|service)\//,
    /^(errors|forgetting-map|memory|telemetry)\.ts$/,
    /^\.\.\/gen\//,
    /^node:/,
    /^@bufbuild\/protobuf(\/|$)/,
    /^(@grpc|@connectrpc)\//,
    /^(grpc-health-check|@opentelemetry\/api|pino)$/,
  ],
  [/^telemetry\.ts$/, /^node:http$/, /^@opentelemetry\//],
  [
    /^config(\.ts$|\/)/,
    /^config(\.ts$|\/)/,
    /^errors\.ts$/,
    /^(provider|store)\/registry\.ts$/,
    /^node:/,
    /^(croner|dot-properties)$/,
  ],
  [/^key-names\.ts$/, /^errors\.ts$/, /^keys\/master-keys\.ts$/, /^provider\/(open|provider|registry)\.ts$/],
  [
    /^tenant-keys\.ts$/,
    /^(config\/tenant-keys|errors|key-names)\.ts$/,
    /^keys\/(master-keys|provider-watch)\.ts$/,
    /^provider\/(provider|registry|resilience)\.ts$/,
    /^node:util$/,
  ],
  [
    /^providers\.ts$/,
    /^(config|errors|key-names|telemetry|tenant-keys)\.ts$/,
    /^keys\/(master-keys|provider-watch)\.ts$/,
    /^provider\/(open|provider|resilience)\.ts$/,
    /^node:async_hooks$/,
    /^pino$/,
  ],
  // The composition root knows every part but the command line.
  [/^server\.ts$/, /^(?!cli\/|[a-z-]+\.js$)[a-z]/, /^@grpc\/grpc-js$/],
  // OTLP JSON is protobuf's JSON of a message that only the generated code describes.
  [
    /^cli\/otlp-json\.ts$/,
    /^(cli|span)\//,
    /^errors\.ts$/,
    /^@bufbuild\/protobuf$/,
    /^\.\.\/gen\/ts\/fluo\/kms\/v1\/signing_pb\.ts$/,
  ],
  // A client of the service's own, for the one command that calls it over gRPC.
  [
    /^cli\/grpc-client\.ts$/,
    /^cli\//,
    /^node:(net|tls)$/,
    /^@grpc\/grpc-js$/,
    /^@bufbuild\/protobuf(\/wkt)?$/,
    /^\.\.\/gen\/ts\/(fluo\/kms\/v1\/(signing|span)|google\/rpc\/(error_details|status))_pb\.ts$/,
  ],
  // Commands that open the store themselves, and its key by the provider.
  [
    /^cli\//,
    /^(cli|span|crypto|config)\//,
    /^(errors|version|config|server|key-names|tenant-keys)\.ts$/,
    /^(provider|store)\/registry\.ts$/,
    /^(provider\/(provider|open)|store\/(log-)?store)\.ts$/,
    /^keys\/(master-keys|provider-watch|record|store-key|unwrap)\.ts$/,
    /^node:/,
  ],
  [/^main\.js$/, /^cli\/run\.ts$/, /^(compile-cache|relaunch)\.js$/],
  [/^flags\.js$/],
  [/^relaunch\.js$/, /^flags\.js$/, /^node:child_process$/],
  [/^compile-cache\.js$/, /^node:(module|url)$/],
];

const contracts = [
  "provider/provider.ts",
  "provider/registry.ts",
  "provider/resilience.ts",
  "provider/failover.ts",
  "provider/open.ts",
  "provider/words.ts",
  "store/store.ts",
  "store/log-store.ts",
  "store/registry.ts",
];
/** The statements and transactions that every store of ours shares, because all of them speak SQL. */
const sharedSql = /^store\/sql(-[a-z]+)?\.ts$/;
/** What a provider said, as every provider may put it into the log. */
const forTheLog = "provider/words.ts";
/** SQLite in this thread, which the stores in a file and in memory both use, has its errors and files apart. */
const isSqlite = (path: string, of: string) => path === "store/sql-embedded.ts" && of.startsWith("store/sqlite-");
const grpcOrConnect = /^(@grpc\/|@connectrpc\/|grpc-health-check$)/;

/** What each rule says, and what in the sources breaks it. */
const rules: Record<string, (sources: readonly Source[]) => string[]> = {
  "imports point one way: transport, service, keys, then store and provider, then the pure code": (sources) =>
    eachImport(sources, ({ path }, { of }) => {
      const allowed = mayImport.find(([files]) => files.test(path));
      return allowed === undefined || !allowed.slice(1).some((pattern) => pattern.test(of));
    }),

  "no file imports itself, through others or not": cycles,

  "span, pii and crypto do no I/O and know no clock and no environment": (sources) =>
    sources
      .filter(({ path }) => /^(span|pii|crypto)\//.test(path))
      .flatMap(({ path, code }) =>
        [
          ...code.matchAll(
            /\b(process|Date\.now|new Date\(\)|Date\(\)|performance|set(Timeout|Interval|Immediate)|fetch|console|WebSocket)\b|new Date\(\)/g,
          ),
        ].map(([word]) => `${path} uses ${word}`),
      ),

  "a provider or a store imports, of its folder, only its contract and files that begin with its own name": (sources) =>
    eachImport(sources, ({ path }, { of }) => {
      const folder = /^(provider|store)\//.exec(path)?.[0];
      if (folder === undefined || contracts.includes(path) || !of.startsWith(folder)) return false;
      if (sharedSql.test(of) || isSqlite(path, of) || of === forTheLog) return false;
      return !contractsOf(folder).includes(of) && ownerOf(of) !== ownerOf(path);
    }),

  "an SDK belongs to one provider or store": (sources) => {
    const owners = new Map<string, Set<string>>();
    for (const { path, imports } of sources) {
      const owner = /^(provider|store)\//.test(path) && !contracts.includes(path) ? ownerOf(path) : "the rest";
      for (const { of } of imports.filter(({ of }) => /^(?!node:)[@a-z][^.]*$/.test(of))) {
        owners.set(of, (owners.get(of) ?? new Set()).add(owner));
      }
    }
    return [...owners].flatMap(([of, names]) =>
      names.size > 1 && [...names].some((name) => name !== "the rest")
        ? [`${of} is imported by ${[...names].join(" and ")}`]
        : [],
    );
  },

  "only the registry imports a provider, and only when it is chosen": (sources) =>
    eachImport(sources, ({ path }, { of, types, dynamic }) => {
      if (!of.startsWith("provider/") || contracts.includes(of)) return false;
      if (path === "provider/registry.ts") return !types && !dynamic;
      return ownerOf(path) !== ownerOf(of);
    }),

  "only the registry imports a store, when it is chosen, and the composition root the one in memory": (sources) =>
    eachImport(sources, ({ path }, { of, types, dynamic }) => {
      if (!of.startsWith("store/") || contracts.includes(of)) return false;
      if (path === "store/registry.ts") return !types && !dynamic;
      if (path.startsWith("store/")) return ownerOf(path) !== ownerOf(of) && !sharedSql.test(of) && !isSqlite(path, of);
      return !(path === "server.ts" && of === "store/memory.ts");
    }),

  "a store knows of the keys only the types of their records": (sources) =>
    eachImport(sources, ({ path }, { of, types }) => path.startsWith("store/") && of.startsWith("keys/") && !types),

  "only transport and the composition root import gRPC or Connect, and one client in the command line": (sources) =>
    eachImport(
      sources,
      ({ path }, { of }) => grpcOrConnect.test(of) && !/^(transport\/|(server|cli\/grpc-client)\.ts$)/.test(path),
    ),

  "that client is loaded only when it is called": (sources) =>
    eachImport(sources, (_, { of, types, dynamic }) => of === "cli/grpc-client.ts" && !types && !dynamic),

  "generated code is for transport and service, and for OTLP JSON and the client in the command line": (sources) =>
    eachImport(
      sources,
      ({ path }, { of }) =>
        of.startsWith("../gen/") && !/^(transport\/|service\/|cli\/(otlp-json|grpc-client)\.ts$)/.test(path),
    ),

  "only the configuration reads the environment": (sources) =>
    sources
      .filter(({ path, code, imports }) => {
        if (/^(config(\.ts$|\/)|compile-cache\.js$)/.test(path)) return false; // the latter writes to it
        return (
          /\bprocess\??\s*(\.|\[\s*["'])\s*env\b|\benv\b[^=;]*\}\s*=\s*process\b/.test(code) ||
          imports.some(({ of }) => of === "node:process")
        );
      })
      .map(({ path }) => `${path} reads the environment`),
};

function contractsOf(folder: string): string[] {
  return folder === "provider/" ? ["provider/provider.ts"] : ["store/store.ts", "store/log-store.ts"];
}

/** `provider/local` for `provider/local.ts` and `provider/local-master-key.ts`. */
function ownerOf(path: string): string {
  return /^[^/]*\/[^-.]*/.exec(path)?.[0] ?? path;
}

function eachImport(sources: readonly Source[], breaks: (file: Source, imported: Import) => boolean): string[] {
  return sources.flatMap((file) =>
    file.imports.filter((imported) => breaks(file, imported)).map(({ of }) => `${file.path} imports ${of}`),
  );
}

/** Types may go round in circles: nothing is left of them when the code runs. */
function cycles(sources: readonly Source[]): string[] {
  const importsOf = new Map(
    sources.map(({ path, imports }) => [path, imports.filter(({ types }) => !types).map(({ of }) => of)]),
  );
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

describe("a rule is broken by", () => {
  const [oneWay, circle, pure, ownFolder, oneSdk, registry, stores, records, grpc, client, gen, environment] =
    Object.values(rules);

  const cases: [broken: typeof oneWay, path: string, text: string][] = [
    [oneWay, "keys/a.ts", 'import { a } from "../service/a.ts";'],
    [oneWay, "keys/a.ts", 'import type { A } from "../transport/a.ts";'],
    [oneWay, "keys/a.ts", 'export * from "../../gen/ts/a_pb.ts";'],
    [oneWay, "keys/a.ts", 'import {\n  a,\n  type B,\n} from "../provider/local.ts";'],
    [oneWay, "service/a.ts", 'const a = await import("../transport/a.ts");'],
    [oneWay, "service/a.ts", 'const a = require("pg");'],
    [oneWay, "span/a.ts", 'const a = createRequire(import.meta.url)("pg");'],
    [oneWay, "span/a.ts", 'import "node:fs";'],
    [oneWay, "span/a.ts", 'type A = import("../keys/a.ts").A;'],
    [oneWay, "crypto/a.ts", "const a = await import(name);"],
    [oneWay, "crypto/a.ts", 'import type { A } from "../provider/provider.ts";'],
    [oneWay, "other/a.ts", 'import { a } from "../errors.ts";'],
    [circle, "keys/a.ts", 'import { a } from "./a.ts";'],
    [pure, "pii/a.ts", "const a = process.hrtime();"],
    [pure, "span/a.ts", "const a = new Date().getTime();"],
    [pure, "crypto/a.ts", "const a = Date.now();"],
    [ownFolder, "provider/aws.ts", 'import { a } from "./local-master-key.ts";'],
    [ownFolder, "store/sqlite.ts", 'import { a } from "./memory.ts";'],
    [registry, "server.ts", 'import { a } from "./provider/local.ts";'],
    [registry, "provider/registry.ts", 'import { a } from "./local.ts";'],
    [stores, "keys/a.ts", 'import { a } from "../store/memory.ts";'],
    [records, "store/a.ts", 'import { a, type B } from "../keys/record.ts";'],
    [grpc, "service/a.ts", 'import { a } from "@grpc/grpc-js";'],
    [grpc, "cli/a.ts", 'import { a } from "@connectrpc/connect";'],
    [client, "cli/a.ts", 'import { a } from "./grpc-client.ts";'],
    [gen, "keys/a.ts", 'import { a } from "../../gen/ts/a_pb.ts";'],
    [environment, "cli/a.ts", "const a = process.env.PATH;"],
    [environment, "cli/a.ts", 'const a = process["env"];'],
    [environment, "cli/a.ts", "const { env } = process;"],
    [environment, "cli/a.ts", 'import { env } from "node:process";'],
  ];

  it.each(cases.map(([broken, path, text]) => ({ broken, path, text })))("$text in $path", ({ broken, path, text }) => {
    expect(broken!([source(path, text)])).toHaveLength(1);
  });

  it("two providers that share an SDK", () => {
    const [aws, gcp] = ["aws", "gcp"].map((name) => source(`provider/${name}.ts`, 'import { a } from "sdk";'));
    expect(oneSdk!([aws!])).toEqual([]);
    expect(oneSdk!([aws!, gcp!])).toEqual(["sdk is imported by provider/aws and provider/gcp"]);
  });

  it("two files that import each other, unless it is types", () => {
    const other = source("keys/b.ts", 'import { a } from "./a.ts";');
    expect(circle!([source("keys/a.ts", 'import { b } from "./b.ts";'), other])).toHaveLength(1);
    expect(circle!([source("keys/a.ts", 'import { type B } from "./b.ts";'), other])).toEqual([]);
  });

  it("nothing that only a comment says", () => {
    const file = source(
      "span/a.ts",
      '// import "node:fs"\n/** process.env and import("../keys/a.ts") */\nconst a = "https://b";',
    );
    expect(Object.values(rules).flatMap((broken) => broken([file]))).toEqual([]);
  });
});
