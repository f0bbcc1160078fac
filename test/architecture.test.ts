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

function readTable(text: string): Record<string, readonly string[]> {
  const lines = text.replace(/^ *#.*$/gm, "").replace(/\n {4}/g, " ");
  const rows = lines.split("\n").filter((line) => line.trim() !== "");
  return Object.fromEntries(
    rows.map((row) => {
      const [, name, imports] = /^ {2}(\S+):(.*)$/.exec(row)!;
      return [name!, imports!.split(" ").filter((each) => each !== "")];
    }),
  );
}

function resolved(path: string, of: string): string {
  return of.startsWith(".") ? posix.join(posix.dirname(path), of) : of;
}

/**
 * The folders of src/, and what each may import beside its own files, Node and store/sqlite/error-codes.ts: folders (their own files, not
 * those of their folders), or single files. A file that has a line of its own follows that. Types count. Further lines have more indentation.
 */
const mayImport = readTable(`
  # Entry, and the command line. main.js imports by a path that is another one in a package.
  main.js: ?
  launch: runtime fluo-kms/package.json
  cli/run.ts: cli cli/commands cli/preflight runtime version.ts
  cli/grpc-client.ts: cli cli/access cli/sign
  cli/service-client.ts: cli cli/access config encoding
  cli/reloads.ts: cli config runtime server.ts
  cli: config encoding keys keys/store-key provider provider-keys store store/directory store/heads store/offline tlog
  cli/policy: cli cli/access auth auth/certificate auth/policy auth/token call encoding runtime
  cli/commands: cli cli/access cli/check cli/demo cli/policy cli/sign cli/verify cli/reloads.ts cli/service-client.ts
    auth auth/policy auth/token call config encoding keys/store-key provider-keys runtime server.ts store store/heads
    store/offline store/sql/rows tlog upgrade verification-report version.ts
  cli/access: cli config runtime
  cli/demo: cli cli/access cli/service-client.ts cli/sign cli/verify
  cli/sign/export.ts: cli cli/access cli/sign cli/grpc-client.ts attestation encoding otlp
  cli/sign: cli cli/access cli/verify config encoding attestation otlp
  cli/verify: cli encoding attestation otlp tlog store store/offline runtime verification-report
  cli/preflight: notices.ts version.ts encoding cli cli/access cli/commands cli/service-client.ts config crypto
    keys/destruction runtime store store/directory store/offline store/postgres
  cli/check: cli cli/verify config encoding keys provider-keys store store/heads store/offline tlog

  # The composition root, and what it alone needs.
  server.ts: process.ts shutdown.ts metrics telemetry version.ts config provider-keys keys keys/rotation
    keys/store-key keys/destruction batch/pool tenant-log audit backup health integrity runtime service
    store/directory transport upgrade
  process.ts: alarm.ts notices.ts runtime telemetry version.ts
  shutdown.ts: runtime
  metrics: audit auth batch/pool health integrity keys keys/destruction limits provider provider-keys runtime store
    store/heads store/sql/rows telemetry transport transport/connections version.ts

  # Bytes to handlers and back.
  transport/start.ts: transport transport/access.ts transport/grpc transport/http transport/local service audit health
    store telemetry
  transport/connections: limits runtime runtime/turns
  transport: notices.ts transport/connections service service/* audit auth auth/certificate call limits runtime
    runtime/turns telemetry encoding/json.ts encoding/json-number.ts encoding/protobuf-json.ts
  transport/grpc/server.ts: transport transport/connections transport/connect transport/grpc transport/grpc/http2
    transport/grpc/stream
  transport/grpc: transport transport/connections transport/grpc/http2 call health runtime runtime/turns
  transport/grpc/http2: transport limits runtime
  transport/grpc/stream: transport transport/grpc transport/grpc/http2 call runtime
  transport/local: transport transport/connections transport/http service/kms audit call health store runtime
    errors.ts
  transport/http/server.ts: transport transport/connections transport/http/listener.ts transport/http runtime
  transport/http/listener.ts: transport transport/connections transport/connect transport/http call runtime
  transport/http: transport transport/connections transport/http/front-page service/kms service/log auth auth/policy
    call health
  transport/connect: transport transport/http transport/grpc transport/grpc/http2 transport/grpc/stream call runtime
    runtime/turns
  transport/http/front-page:

  # Handlers by gRPC service.
  service/compose.ts: notices.ts service service/* service/kms/validate call alarm.ts telemetry version.ts audit
    health integrity tenant-log batch/pool keys keys/rotation keys/store-key provider-keys runtime runtime/turns
  service: audit call encoding store telemetry
  service/kms: notices.ts service service/codec service/kms/validate call limits runtime runtime/turns telemetry audit
    health integrity tenant-log batch batch/pool keys keys/rotation keys/destruction provider-keys provider store
    store/heads attestation envelope tlog crypto
  # store/sqlite/memory.ts is the throw-away store of its probe.
  service/kms/validate: notices.ts service/codec call keys provider-keys provider attestation envelope crypto runtime
    runtime/turns store/sqlite/memory.ts
  service/key-admin: service audit call keys keys/destruction store runtime runtime/turns
  service/log: service audit call tenant-log tlog
  service/codec: attestation batch otlp encoding

  # What is known of the service's own work.
  audit: call keys keys/rotation store alarm.ts failpoints.ts telemetry runtime
  integrity: notices.ts store alarm.ts runtime
  # By an address that is another one in a package.
  backup/entry.js: backup runtime ?
  backup: notices.ts store store/heads store/offline alarm.ts failpoints.ts runtime
  health: notices.ts provider-keys keys keys/destruction store alarm.ts runtime

  # The tenants' logs, and batches for them.
  tenant-log: batch batch/pool keys keys/rotation store attestation tlog failpoints.ts runtime
  batch: attestation otlp tlog crypto encoding runtime
  batch/pool: batch tlog crypto runtime

  # Keys, and the provider keys that wrap them.
  keys/background.ts: keys keys/lifecycle.ts keys/rotation keys/destruction store runtime
  keys/lifecycle.ts: keys keys/destruction store failpoints.ts runtime
  keys/rewrapping.ts: keys keys/store-key provider-keys provider store failpoints.ts runtime
  keys: provider-keys provider store envelope crypto call limits failpoints.ts runtime version.ts
  keys/rotation: keys store failpoints.ts runtime version.ts
  keys/destruction: keys store failpoints.ts runtime version.ts
  keys/store-key/start.ts: keys/store-key provider-keys store store/heads alarm.ts telemetry runtime
  keys/store-key: keys provider-keys provider store store/heads upgrade failpoints.ts
  provider-keys: notices.ts provider store alarm.ts telemetry runtime

  # Replicas of two releases on one store.
  upgrade: notices.ts store store/sql/rows store/sql/upgrade version.ts

  # Settings. auth/policy reads a narrow part of YAML.
  config: notices.ts limits provider-keys provider store store/directory store/heads auth/policy encoding runtime

  # The store.
  store/registry.ts: store store/sqlite store/postgres store/offline store/sql/upgrade
  store:
  store/directory: store/sqlite failpoints.ts
  store/sql/store.ts: store store/sql store/sql/rows store/sql/upgrade store/examine
  store/sql: store store/sql/rows tlog
  store/sql/rows: store
  store/sql/upgrade: store store/sql store/sql/rows store/examine failpoints.ts
  store/examine: store store/sql store/sql/rows tlog
  store/sqlite: store store/sql store/sql/rows store/sql/store.ts store/sql/upgrade store/sqlite/wal failpoints.ts
    runtime/private-file.ts runtime/in-flight.ts runtime/manual-time.ts runtime/module-beside.ts
  store/sqlite/wal:
  store/heads: notices.ts store store/sqlite store/sqlite/wal runtime failpoints.ts
  store/postgres: version.ts store store/sql store/sql/rows store/sql/store.ts store/sql/upgrade failpoints.ts
    runtime/in-flight.ts
  store/offline: store store/sql store/sql/rows store/sql/store.ts store/sql/upgrade store/examine store/sqlite
    store/sqlite/wal store/postgres failpoints.ts

  # Providers.
  provider/open.ts: provider provider/registry.ts
  provider/registry.ts: provider provider/*
  provider: crypto runtime
  provider/*: provider crypto encoding runtime

  # Pure: bytes in, bytes out.
  attestation: otlp tlog crypto encoding
  otlp: encoding
  tlog: crypto encoding
  envelope: crypto
  crypto:
  verification-report: encoding
  encoding:

  # Who calls.
  auth: notices.ts auth/policy auth/certificate auth/token call crypto encoding limits runtime alarm.ts store
    version.ts
  auth/policy: notices.ts call crypto encoding
  auth/certificate: auth/policy crypto encoding
  auth/token: auth/certificate auth/policy call crypto encoding limits runtime runtime/turns

  # Everybody's.
  call:
  limits: notices.ts call
  runtime:
  runtime/turns: runtime
  alarm.ts:
  errors.ts:
  notices.ts:
  failpoints.ts:
  telemetry: encoding
  version.ts: fluo-kms/package.json
`);

/** Every package that src/ imports, by the beginning of its name, and the folders and files that may. */
const packages: Record<string, readonly string[]> = {
  "@grpc": ["transport/grpc", "transport/error-status.ts", "cli/grpc-client.ts"],
  "@connectrpc": ["transport/connect", "transport/error-status.ts"],
  "grpc-health-check": ["transport/grpc"],
  "@bufbuild/protobuf": [
    "transport",
    "service",
    "cli/verify/otlp-json.ts",
    "cli/grpc-client.ts",
    "encoding/protobuf-json.ts",
  ],
  "@opentelemetry": ["telemetry", "metrics", "service/key-timer.ts", "transport/call-recorder.ts"],
  "@aws-sdk": ["provider/aws"],
  "@azure": ["provider/azure"],
  "google-auth-library": ["provider/gcp"],
  cockatiel: ["provider"],
  pg: ["store/postgres"],
  "pg-connection-string": ["store/postgres"],
  "sodium-native": ["crypto"],
  "lru-cache": ["auth", "keys", "tenant-log"],
  croner: ["config", "runtime"],
  "dot-properties": ["config"],
  jose: ["auth"],
  yaml: ["auth"],
  pino: [
    "audit",
    "auth",
    "backup",
    "health",
    "integrity",
    "keys",
    "process.ts",
    "shutdown.ts",
    "provider-keys",
    "runtime",
    "service",
    "transport",
  ],
};

/** Folders that do no I/O and know no clock and no environment. */
const pure: readonly string[] = ["crypto", "encoding", "envelope", "otlp", "tlog", "attestation", "batch"];

/** Files that alone load others of their folders, when these are chosen: by a dynamic import. */
const loadedByRegistry: Record<string, RegExp> = {
  "provider/registry.ts": /^provider\/[a-z]+\/open\.ts$/,
  "store/registry.ts": /^store\/(sqlite|postgres)\/open\.ts$/,
};

/** Files and folders that may call JSON.parse, and why. All else is read by encoding/json.ts, as V8 may misread names in what others wrote. */
const parsers: Readonly<Record<string, string>> = {
  "encoding/json.ts": "one string alone, which has no names",
  "runtime/misread-names.ts": "tests JSON.parse itself",
  "cli/demo/story.ts": "what the demo wrote",
  "provider/aws": "answers of the provider",
  "provider/azure": "answers of the provider",
  "provider/gcp": "answers of the provider, and its credentials file",
  "provider/vault": "answers of the provider",
  "telemetry/log-lines.ts": "lines of the log, which pino writes",
  "store/heads/format.ts": "a file that the service writes, authenticated",
  "store/postgres/listen.ts": "notifications that replicas send",
  "store/sqlite/wal": "files that the service writes",
};

/** Files that read a clock or start a timer themselves, and why. Every other part is given `Time`. */
const ownClocks: Readonly<Record<string, string>> = {
  "runtime/time.ts": "is the time of this machine",
  "metrics/process-use.ts": "asks Node since when the process runs",
  "transport/call-context.ts": "compares with the deadline of a call, which grpc-js keeps by the system's clock",
};

/** Files and folders that take the time of this machine, and why. */
const realTimeTakers: Readonly<Record<string, string>> = {
  "server.ts": "composes the service, by the time of this machine unless another is given",
  cli: "commands, each a process of its own",
  "store/offline": "what commands do to a store",
  "store/postgres/examined-server.ts": "a look for a command",
  "runtime/manual-time.ts": "what a thread takes that was sent no other",
};

/** Files that wait for a turn of the event loop, in which no time passes, and why. */
const turnTakers: Readonly<Record<string, string>> = {
  "audit/heads-at-start.ts": "lets calls run between pages",
  "audit/verify-trail.ts": "lets calls run between pages",
  "cli/commands/verify.ts": "hears Ctrl-C between spans",
  "keys/cache.ts": "destroys a value when its last user has run",
  "keys/pace.ts": "lets calls run between keys",
  "runtime/manual-time.ts": "lets what fell due run",
  "runtime/turns/loop.ts": "counts the turns",
  "store/offline": "commits what came in one turn",
  "store/sql": "lets calls run between pages",
  "store/sqlite": "commits what came in one turn",
  "transport/grpc/run-after-parse.ts": "runs calls after all that one read brought is parsed",
};

/** Packages that keep time of their own, by this machine's clocks, and for what. */
const ownTime: Readonly<Record<string, string>> = {
  "@grpc": "deadlines of calls, keepalive and the age of connections",
  "@connectrpc": "nothing on the server: it is told of no deadline",
  "@opentelemetry": "intervals of exports, and times of spans and samples",
  "@aws-sdk": "dates of signatures and lives of credentials",
  "@azure": "lives of tokens",
  "google-auth-library": "lives of tokens",
  cockatiel: "nothing that counts: a breaker of which no wait is asked",
  croner: "whether an expression of the configuration ever comes about",
  jose: "nothing that counts: the claims that are times are read by auth/token/jwt.ts",
  "lru-cache": "nothing: no entry has a time to live there",
  pg: "time limits of connections and statements",
  pino: "nothing: times of lines are given to it",
};

const clockWords = new RegExp(
  [
    String.raw`\bset(?:Timeout|Interval)\b`,
    String.raw`\bDate\s*(?:\??\.\s*|\[\s*["'])now\b`,
    String.raw`\bDate\(\)`,
    String.raw`\bperformance\s*(?:\??\.\s*|\[\s*["'])(?:now|timeOrigin|mark)\b`,
    String.raw`\bnow\b[^{}=;]*\}\s*=\s*(?:performance|Date)\b`,
    String.raw`\bAbortSignal\s*\.\s*timeout\b`,
    String.raw`\bhrtime\b`,
    String.raw`\buptime\s*\(`,
    String.raw`\bscheduler\s*\.`,
  ].join("|"),
);

/** Returns the files in which `word` occurs and that the table does not have, and the lines of the table that no file needs. */
function unlisted(sources: readonly Source[], word: RegExp, table: Readonly<Record<string, string>>): string[] {
  const users = sources.filter(({ code }) => word.test(code)).map(({ path }) => path);
  const listed = Object.keys(table);
  return [
    ...users.filter((path) => !listed.some((each) => isIn(path, each))),
    ...(sources.length > 1 ? listed.filter((each) => !users.some((path) => isIn(path, each))) : []),
  ];
}

/** What each rule says, and what in the sources breaks it. */
const rules: Record<string, (sources: readonly Source[]) => string[]> = {
  "a folder imports what its line in the table names": (sources) =>
    eachImport(sources, ({ path }, { of }) => !isPackage(of) && !isAllowed(path, of)),

  "a package is imported where the table of packages says": (sources) =>
    eachImport(sources, ({ path }, { of }) => {
      if (!isPackage(of) || of.startsWith("node:")) return false;
      const [, owners = []] = Object.entries(packages).find(([name]) => of === name || of.startsWith(`${name}/`)) ?? [];
      return !owners.some((owner) => isIn(path, owner));
    }),

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
          .filter(
            ({ of }) => isPackage(of) && !/^(node:crypto|@bufbuild\/protobuf)$/.test(of) && path !== "crypto/sodium.ts",
          )
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

  "generated code is for transport and service, and for OTLP JSON, the client and the version in the command line": (
    sources,
  ) =>
    eachImport(
      sources,
      ({ path }, { of }) =>
        of.startsWith("../gen/") &&
        !/^(transport\/|service\/|call\/roles\.ts$|cli\/((verify\/)?otlp-json|grpc-client|run)\.ts$)/.test(path),
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

  "JSON that others wrote is read by encoding/json.ts": (sources) =>
    sources
      .filter(({ path, code }) => {
        if (Object.keys(parsers).some((each) => isIn(path, each))) return false;
        return /\bJSON\s*\??\.\s*parse\b|\bparse\b[^=;]*\}\s*=\s*JSON\b|\bfromJsonString\b|\bmergeFromJsonString\b/.test(
          code,
        );
      })
      .map(({ path }) => `${path} parses JSON`),

  "clocks are read and timers started by runtime/time.ts": (sources) =>
    unlisted(sources, clockWords, ownClocks).map((path) => `${path} keeps time of its own`),

  "the time of this machine is taken where the service, a command or a thread begins": (sources) =>
    unlisted(
      sources.filter(({ path }) => path !== "runtime/time.ts"),
      /\brealTime\b/,
      realTimeTakers,
    ).map((path) => `${path} takes the time of this machine`),

  "a turn of the event loop is waited for where the table says": (sources) =>
    unlisted(sources, /\bsetImmediate\b/, turnTakers).map((path) => `${path} waits for a turn`),

  "nothing gives JSON.parse a reviver, by which V8 corrupts the memory of the process on some texts": (sources) =>
    sources.filter(({ code }) => parsesWithReviver(code)).map(({ path }) => `${path} gives JSON.parse a reviver`),

  "what a command prints goes through cli/print.ts, so that it cannot steer a terminal": (sources) =>
    sources
      .filter(
        ({ path, code }) =>
          !["cli/print.ts", "launch/relaunch.js"].includes(path) &&
          /\bconsole\b|\bstd(?:out|err)\b(?!\.isTTY)/.test(code),
      )
      .map(({ path }) => `${path} prints by itself`),
};

/** Whether a call of JSON.parse has a second argument: a comma outside of its inner brackets. */
function parsesWithReviver(code: string): boolean {
  return code.split(/\bJSON\.parse\(/).some((rest, i) => {
    if (i === 0) return false;
    const bare = rest.replace(/`[^`]*`|"(?:[^"\\]|\\.)*"|\/(?:[^/\\\n]|\\.)+\//g, "");
    let depth = 0;
    for (const character of bare) {
      if ("([{".includes(character)) depth += 1;
      else if (")]}".includes(character)) depth -= 1;
      if (depth < 0) return false;
      if (depth === 0 && character === ",") return true;
    }
    return false;
  });
}

function isPackage(of: string): boolean {
  return /^[@a-z][^.]*$/.test(of) && !sourceFolders.has(of.split("/")[0]!);
}

const sourceFolders = new Set(Object.keys(mayImport).map((folder) => folder.split("/")[0]!));

/** Generated code has a rule of its own. */
function isAllowed(path: string, of: string): boolean {
  if (of.startsWith("../gen/")) return true;
  if (of === "errors.ts") return path !== of;
  if (of === "runtime/time.ts") return !pure.includes(folderOf(path));
  const [folder, ofFolder] = [folderOf(path), folderOf(of)];
  const allowed = mayImport[path] ?? mayImport[folder] ?? mayImport[`${posix.dirname(folder)}/*`];
  if (allowed === undefined) return false;
  if (folder === ofFolder && folder !== "") return true;
  return [of, ofFolder, `${posix.dirname(ofFolder)}/*`].some((each) => allowed.includes(each));
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
  return circles(new Map(sources.map(({ path, imports }) => [path, imports.map(({ of }) => of)])));
}

/** Folders at every level; a file that has a line of its own in the table stands for itself. */
function folderCircles(sources: readonly Source[]): string[] {
  const nodeOf = (path: string) => (Object.hasOwn(mayImport, path) ? path : folderOf(path));
  const importsOf = new Map<string, string[]>();
  for (const { path, imports } of sources) {
    const others = imports.map(({ of }) => nodeOf(of)).filter((of) => of !== nodeOf(path));
    importsOf.set(nodeOf(path), [...(importsOf.get(nodeOf(path)) ?? []), ...others]);
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

/** Folders of src/ that one of the two knows and the other does not. */
function unknownFolders(paths: readonly string[], architecture: string): string[] {
  const rows = architecture.matchAll(/^\| (`[^|]*) \|/gm);
  const named = new Set(
    [...rows].flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)\/`/g)].map(([, folder]) => folder!)),
  );
  const present = new Set(paths.map(folderOf).filter((folder) => folder !== ""));
  return [...named.symmetricDifference(present)];
}

it("ARCHITECTURE.md has a line for each folder of src/, and for no other", () => {
  const architecture = readFileSync(join(src, "..", "ARCHITECTURE.md"), "utf8");
  expect(
    unknownFolders(
      readSources().map(({ path }) => path),
      architecture,
    ),
  ).toEqual([]);
  expect(unknownFolders(["keys/a.ts", "new/a.ts"], "| `keys/`, `old/` | what |")).toEqual(["old", "new"]);
});

it("a package that keeps time of its own is one that src/ imports", () => {
  expect(Object.keys(ownTime).filter((name) => !Object.hasOwn(packages, name))).toEqual([]);
});

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
  const [
    folders,
    packagesOf,
    circle,
    folderCircle,
    pureOnly,
    registry,
    client,
    gen,
    environment,
    ownReader,
    ownClock,
    ownRealTime,
    ownTurn,
    noReviver,
    printer,
  ] = Object.values(rules);

  const cases: [broken: typeof folders, path: string, text: string][] = [
    [folders, "keys/a.ts", 'import { a } from "../service/a.ts";'],
    [folders, "keys/a.ts", 'import type { A } from "../transport/a.ts";'],
    [folders, "keys/a.ts", 'import {\n  a,\n  type B,\n} from "../provider/local/a.ts";'],
    [folders, "keys/a.ts", 'type A = import("../service/a.ts").A;'],
    [folders, "service/a.ts", 'const a = await import("../transport/a.ts");'],
    [folders, "other/a.ts", 'import { a } from "../keys/a.ts";'],
    [folders, "provider/aws/a.ts", 'import { a } from "../local/master-key.ts";'],
    [folders, "provider/a.ts", 'import { a } from "./aws/open.ts";'],
    [folders, "store/sqlite/a.ts", 'import { a } from "../postgres/open.ts";'],
    [folders, "store/a.ts", 'import type { A } from "../keys/states.ts";'],
    [folders, "service/kms/a.ts", 'import { a } from "../../store/sqlite/open.ts";'],
    [folders, "crypto/a.ts", 'import type { A } from "../provider/provider.ts";'],
    [packagesOf, "service/a.ts", 'import { a } from "@grpc/grpc-js";'],
    [packagesOf, "cli/a.ts", 'import { a } from "@connectrpc/connect";'],
    [packagesOf, "provider/gcp/a.ts", 'import { a } from "@aws-sdk/client-kms";'],
    [packagesOf, "service/a.ts", 'const a = require("pg");'],
    [packagesOf, "otlp/a.ts", 'const a = createRequire(import.meta.url)("pg");'],
    [packagesOf, "keys/a.ts", 'import { a } from "a-package-in-no-table";'],
    [circle, "keys/a.ts", 'import { a } from "./a.ts";'],
    [pureOnly, "otlp/a.ts", 'import "node:fs";'],
    [folders, "crypto/a.ts", "const a = await import(name);"],
    [pureOnly, "envelope/a.ts", "const a = process.hrtime();"],
    [pureOnly, "otlp/a.ts", "const a = new Date().getTime();"],
    [pureOnly, "crypto/a.ts", "const a = Date.now();"],
    [registry, "server.ts", 'import { a } from "./provider/local/open.ts";'],
    [registry, "provider/registry.ts", 'import { a } from "./local/open.ts";'],
    [registry, "keys/a.ts", 'import { a } from "../store/sqlite/open.ts";'],
    [client, "cli/a.ts", 'import { a } from "./grpc-client.ts";'],
    [gen, "keys/a.ts", 'import { a } from "../../gen/ts/a_pb.ts";'],
    [gen, "keys/a.ts", 'export * from "../../gen/ts/a_pb.ts";'],
    [ownReader, "service/a.ts", "const a = JSON.parse(text);"],
    [ownClock, "keys/a.ts", "const timer = setTimeout(run, 5).unref();"],
    [ownClock, "keys/a.ts", 'import { setTimeout as delay } from "node:timers/promises";'],
    [ownClock, "keys/a.ts", "globalThis.setInterval(run, 5);"],
    [ownClock, "keys/a.ts", "const at = Date.now();"],
    [ownClock, "keys/a.ts", 'const at = Date["now"]();'],
    [ownClock, "keys/a.ts", "const clock = Date.now;"],
    [ownClock, "keys/a.ts", "const { now } = performance;"],
    [ownClock, "keys/a.ts", "const at = new Date();"],
    [ownClock, "keys/a.ts", "const at = performance.now();"],
    [ownClock, "keys/a.ts", "const late = AbortSignal.timeout(5);"],
    [ownClock, "keys/a.ts", "const at = process.hrtime.bigint();"],
    [ownClock, "keys/a.ts", "const at = os.uptime();"],
    [ownRealTime, "keys/a.ts", 'import { realTime } from "../runtime/time.ts";'],
    [ownTurn, "keys/a.ts", "setImmediate(run);"],
    [ownReader, "transport/a.ts", "const a = fromJsonString(desc, text);"],
    [ownReader, "cli/a.ts", "const { parse } = JSON;"],
    [noReviver, "cli/a.ts", 'const a = JSON.parse(textOf(b, "c"), (_key, value) => value);'],
    [printer, "cli/a.ts", "console.log(text);"],
    [printer, "cli/a.ts", "process.stdout.write(text);"],
    [printer, "cli/a.ts", "const { stderr } = process;"],
    [environment, "cli/a.ts", "const a = process.env.PATH;"],
    [environment, "cli/a.ts", 'const a = process["env"];'],
    [environment, "cli/a.ts", "const { env } = process;"],
    [environment, "cli/a.ts", 'import { env } from "node:process";'],
  ];

  it.each(cases.map(([broken, path, text]) => ({ broken, path, text })))("$text in $path", ({ broken, path, text }) => {
    expect(broken!([source(path, text)])).toHaveLength(1);
  });

  it("two files that import each other, and be it for types", () => {
    const other = source("keys/b.ts", 'import { a } from "./a.ts";');
    expect(circle!([source("keys/a.ts", 'import { b } from "./b.ts";'), other])).toHaveLength(1);
    expect(circle!([source("keys/a.ts", 'import type { B } from "./b.ts";'), other])).toHaveLength(1);
  });

  it("two folders that import each other, by different files", () => {
    const other = source("store/b.ts", 'import type { C } from "../keys/c.ts";');
    expect(folderCircle!([source("keys/a.ts", 'import { b } from "../store/b.ts";'), other])).toHaveLength(1);
    expect(folderCircle!([source("keys/a.ts", 'import { b } from "./b.ts";'), other])).toEqual([]);
  });

  it("nothing that only a comment says", () => {
    const file = source(
      "otlp/a.ts",
      '// import "node:fs"\n/** process.env and import("../keys/a.ts") */\nconst a = "https://b";',
    );
    expect(Object.values(rules).flatMap((broken) => broken([file]))).toEqual([]);
  });
});
