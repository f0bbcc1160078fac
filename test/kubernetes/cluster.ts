/** A kube-apiserver with its etcd, on loopback ports: it admits, defaults, validates and keeps objects; nothing acts on them. */
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { Rendered } from "../chart/helm-chart.ts";
import { onFreePorts } from "../support/free-ports.ts";
import { newAuthority } from "../support/pki.ts";
import { startServer } from "../support/server-program.ts";

const tools = join(import.meta.dirname, "..", "..", "tools");
const token = "of-an-administrator";

export interface Cluster {
  /** For Helm. */
  kubeconfig: string;
  call(method: string, path: string, body?: unknown): Promise<{ status: number; answer: Rendered }>;
  end(): Promise<void>;
}

export async function startCluster(): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-cluster-"));
  try {
    return await onFreePorts(3, (...ports) => startOn(folder, ports as [number, number, number]));
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

async function startOn(folder: string, ports: Ports): Promise<Cluster> {
  rmSync(join(folder, "etcd"), { recursive: true, force: true });
  const ca = writeCredentials(folder);
  const etcd = await startServer(join(tools, "etcd", "usr", "bin", "etcd"), etcdArguments(folder, ports), {
    ready: /ready to serve client requests/,
  });
  const apiserver = await startServer(join(tools, "bin", "kube-apiserver"), apiserverArguments(folder, ports), {
    ready: /Serving securely on/,
  }).catch(async (error) => {
    await etcd.end();
    throw error;
  });
  const end = async () => {
    for (const each of [apiserver, etcd]) await each.end();
    rmSync(folder, { recursive: true, force: true });
  };
  const call: Cluster["call"] = (method, path, body) => callServer({ port: ports[2], ca }, method, path, body);
  while ((await call("GET", "/readyz").catch(() => ({ status: 0 }))).status !== 200) {
    if (apiserver.hasEnded()) {
      await end();
      throw new Error(`kube-apiserver is not ready: ${apiserver.printed()}${etcd.printed()}`);
    }
    await delay(200);
  }
  return { kubeconfig: join(folder, "kubeconfig.json"), call, end };

  function writeCredentials(into: string): string {
    const authority = newAuthority();
    const server = authority.issue({ addresses: ["127.0.0.1"], extendedKeyUsage: ["serverAuth"] });
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const user = { name: "admin", user: { token } };
    const cluster = { server: `https://127.0.0.1:${ports[2]}`, "certificate-authority": join(into, "ca.pem") };
    const context = { name: "test", context: { cluster: "test", user: "admin" } };
    const files = {
      "ca.pem": authority.certificate,
      "server.pem": server.certificate,
      "server.key": server.key,
      "accounts.key": privateKey.export({ type: "pkcs1", format: "pem" }) as string,
      "accounts.pub": publicKey.export({ type: "spki", format: "pem" }) as string,
      "tokens.csv": `${token},admin,1,"system:masters"\n`,
      "kubeconfig.json": JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        "current-context": "test",
        clusters: [{ name: "test", cluster }],
        users: [user],
        contexts: [context],
      }),
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(into, name), content, { mode: 0o600 });
    return authority.certificate;
  }
}

type Ports = readonly [client: number, peer: number, secure: number];

function etcdArguments(folder: string, [client, peer]: Ports): string[] {
  const [clients, peers] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  return [
    ...[`--data-dir=${join(folder, "etcd")}`, `--listen-client-urls=${clients}`, `--advertise-client-urls=${clients}`],
    ...[`--listen-peer-urls=${peers}`, `--initial-advertise-peer-urls=${peers}`, `--initial-cluster=default=${peers}`],
  ];
}

function apiserverArguments(folder: string, [client, , secure]: Ports): string[] {
  const file = (name: string) => join(folder, name);
  return [
    ...[`--etcd-servers=http://127.0.0.1:${client}`, `--secure-port=${secure}`],
    ...["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"],
    ...[`--tls-cert-file=${file("server.pem")}`, `--tls-private-key-file=${file("server.key")}`],
    ...[`--service-account-key-file=${file("accounts.pub")}`],
    ...[`--service-account-signing-key-file=${file("accounts.key")}`],
    ...["--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24"],
    ...["--authorization-mode=RBAC", `--token-auth-file=${file("tokens.csv")}`],
    // Nobody makes the default accounts of namespaces.
    "--disable-admission-plugins=ServiceAccount",
  ];
}

async function callServer(
  { port, ca }: { port: number; ca: string },
  method: string,
  path: string,
  body: unknown,
): Promise<{ status: number; answer: Rendered }> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const sent = request({ host: "127.0.0.1", port, path, method, headers, ca });
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = await once(sent, "response");
  const said = await text(response);
  return { status: response.statusCode, answer: said.startsWith("{") ? JSON.parse(said) : said };
}
