/** What a service that runs on a terminal shows its user: where it is, and three commands that work as they stand. */
import type { Config } from "../config/config.ts";
import { heading, type Styled } from "./styled.ts";

type Settings = Pick<Config, "host" | "tls" | "policyFile" | "open">;

interface Ports {
  grpcPort: number;
  httpPort: number;
}

/** A service with TLS has its name in its certificate, which only its user knows: HOST and CA.pem stand for what is to be filled in. */
export function thingsToTry(
  { host, tls, policyFile, open }: Settings,
  { grpcPort, httpPort }: Ports,
): (string | Styled)[] {
  const address = reachable(host);
  const scheme = tls === undefined ? "http" : "https";
  const url = tls === undefined ? `http://${address}:${httpPort}` : `https://HOST:${httpPort}`;
  const curl = tls === undefined ? "curl -s" : "curl -s --cacert CA.pem";
  const options = [
    ...(url === "http://127.0.0.1:8080" ? [] : [`--address ${url}`]),
    ...(tls === undefined ? [] : ["--ca-cert CA.pem"]),
    ...(policyFile === undefined ? [] : ["--token-file TOKEN_FILE"]),
  ];
  const command = (name: string) => ["npx fluo-kms", name, ...options].join(" ");
  const health: Try = ["Is it ready?", `${curl} ${url}/q/health/ready`];
  const encrypt: Try = [
    "Encrypt a value:",
    `${curl} ${url}/fluo.kms.v1.KmsService/EncryptPii \\`,
    "  -H 'content-type: application/json' \\",
    `  -d '${exampleRequest}'`,
  ];
  const withCaller: Try[] = [
    open.includes("health") ? health : ["Does it work?", command("validate")],
    ["Who am I to it?", command("whoami")],
    ["Who may do what?", `npx fluo-kms policy check ${quoted(policyFile ?? "")}`],
  ];
  const tries = policyFile === undefined ? [health, encrypt, ["Look at it:", command("status")]] : withCaller;
  return [
    "",
    heading("gRPC", `  ${address}:${grpcPort}${tls === undefined ? "" : ", with TLS"}`),
    heading("HTTP", `  ${scheme}://${address}:${httpPort}`),
    "",
    "Try in another terminal, or end with Ctrl-C:",
    ...tries.flatMap(([what, ...lines]) => [`  ${what}`, ...lines.map((line) => `    ${line}`)]),
    ...legend(tls !== undefined, policyFile !== undefined),
    "",
  ];
}

/** What it shows, and the lines of the command. */
type Try = readonly [what: string, ...lines: string[]];

const exampleRequest = '{"tenantId":"acme","fields":[{"name":"email","value":"YW5u"}]}';

function legend(isTls: boolean, isAuthenticated: boolean): string[] {
  const tls = "HOST is a name in the service's certificate, CA.pem the authority that issued it.";
  const token = "TOKEN_FILE has a caller's token; client certificates have options of their own.";
  return [...(isTls ? [`  ${tls}`] : []), ...(isAuthenticated ? [`  ${token}`] : [])];
}

/** An address at which this machine reaches what listens on `host`. */
function reachable(host: string): string {
  const plain = host.replace(/^\[|\]$/g, "");
  if (plain === "0.0.0.0") return "127.0.0.1";
  if (plain === "::") return "[::1]";
  return plain.includes(":") ? `[${plain}]` : plain;
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
