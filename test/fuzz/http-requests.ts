/** Requests of the other paths: administration in JSON, and raw text with targets, heads and bodies that no client of HTTP would send. */
import type { DescMethod } from "@bufbuild/protobuf";
import type { Random } from "../crash/random.ts";
import { mutatedJson } from "./mutate-json.ts";
import { type FuzzRequest, pathOf } from "./requests.ts";
import { wordsIn } from "../support/words.ts";

const paths = wordsIn(`
  / /q/health /q/health/ready /q/health/live /q/metrics /nothing /api/admin/kms/validate /api/admin/kms/status
  /api/admin/kms/rotate /api/kms/tenants/acme/jwks.json /api/kms/tenants/acme/log/checkpoint
  /api/kms/tenants/acme/log/1/tile/0/000 /api/kms/tenants/acme/log/tile/entries/000.p/3
`);

const pathChanges: readonly ((path: string, random: Random) => string)[] = [
  (path) => path,
  (path) => path,
  (path) => path,
  (path, random) =>
    `${path}?${random.pick(["", "a", "tenant_id=acme", "tenant_id=%ff", "tenant_id=a&tenant_id=b", "%", "a=\\"])}`,
  (path, random) =>
    insertAt(
      path,
      random,
      random.pick([
        "..",
        "/../",
        "/./",
        "%2e%2e/",
        "\\",
        "//",
        "\t",
        "%",
        "%00",
        "%ff",
        "\xe9",
        "#",
        "?",
        " ",
        "\0",
        "'",
        "<",
        "{",
      ])!,
    ),
  (path) => path.toUpperCase(),
  (path) => path.slice(1),
  (path) => `http://localhost${path}`,
  (path) => `//evil.example${path}`,
  (path) => `${path}${"/x".repeat(500)}`,
  (_path, random) => random.pick(["*", "", "localhost:1", "http://[", "/%", "///", "/..", "\\"])!,
];

export function adminRequest(random: Random): FuzzRequest {
  const body = {
    tenant_id: random.pick(["acme", "globex", "", "Acme", "__proto__"]),
    ...(random.chance(0.5) && { purpose: random.pick(["data", "signing", "both", ""]) }),
    ...(random.chance(0.4) && { force: random.chance(0.5) }),
    ...(random.chance(0.5) && { dry_run: random.chance(0.7) }),
    ...(random.chance(0.2) && { limit: random.pick([0, 1, -1, 1.5, 1e10]) }),
    ...(random.chance(0.2) && { request_id: random.pick(["r", "", "x".repeat(200)]) }),
  };
  const wanted = random.chance(0.95) ? "rotate" : "validate";
  const json = wanted === "rotate" ? mutatedJson(body, random) : mutatedJson({ tenant_id: "acme", x: 1 }, random);
  const verb = random.chance(0.95) ? "POST" : random.pick(["GET", "PUT", "HEAD"])!;
  const path = `/api/admin/kms/${wanted}`;
  const headers = random.chance(0.9) ? { "content-type": "application/json" } : { "content-encoding": "gzip" };
  const what = `${verb} ${path} ${json.toString("latin1")}`;
  return { by: "http", transport: "admin JSON", what, verb, path, headers, body: verb === "GET" ? undefined : json };
}

const heads = [
  "host: localhost",
  "Host: 127.0.0.1:1",
  "host: evil.example",
  "host: ",
  "host: local host",
  "content-length: 3",
  "content-length: -1",
  "content-length: 99999999999999999999",
  "transfer-encoding: chunked",
  "transfer-encoding: gzip, chunked",
  "expect: 100-continue",
  "expect: nothing",
  "connection: upgrade\r\nupgrade: h2c",
  "connection: keep-alive",
  "content-type: application/json",
  "content-type: application/proto",
  "origin: http://localhost",
  "origin: http://evil.example",
  `x: ${"x".repeat(17_000)}`,
  "no colon",
  " folded",
  "x:\0",
  "accept-encoding: gzip;q=0",
  "accept-encoding: gzip",
];

const verbs = [
  "GET",
  "GET",
  "GET",
  "POST",
  "POST",
  "HEAD",
  "PUT",
  "DELETE",
  "OPTIONS",
  "CONNECT",
  "TRACE",
  "PATCH",
  "get",
  "NONE",
  "PRI",
];
const bodies = ["", "{}", "3\r\nabc\r\n0\r\n\r\n", "ffffffffff\r\n", "x\r\n", "abc", "{}GET / HTTP/1.1\r\n\r\n"];

/** The connection is closed behind it, so that whatever it is, it ends. */
export function rawRequest(random: Random, rpcs: readonly DescMethod[]): FuzzRequest {
  const path = random.chance(0.8) ? random.pick(paths)! : pathOf(random.pick(rpcs)!);
  const target = random.pick(pathChanges)!(path, random);
  const version = random.chance(0.95) ? "HTTP/1.1" : random.pick(["HTTP/1.0", "HTTP/2.0", "HTTP/9", ""])!;
  const lines = [random.chance(0.9) ? "host: localhost" : undefined];
  for (let more = random.pick([0, 0, 0, 1, 1, 2])!; more > 0; more -= 1) lines.push(random.pick(heads));
  const head = [`${random.pick(verbs)} ${target} ${version}`, ...lines.filter((line) => line !== undefined)];
  const text = `${head.join("\r\n")}\r\n\r\n${random.chance(0.7) ? "" : random.pick(bodies)}`;
  const bytes = random.chance(0.03) ? Buffer.from(random.bytes(40)) : Buffer.from(text, "latin1");
  return { by: "socket", transport: "raw HTTP", what: JSON.stringify(bytes.toString("latin1")), bytes };
}

function insertAt(path: string, random: Random, more: string): string {
  const at = 1 + random.below(path.length);
  return path.slice(0, at) + more + path.slice(at);
}
