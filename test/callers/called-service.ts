/** The service as a process of its own, with TLS on both ports and a policy, and what its callers need as files. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import { type Authority, type CertificateOptions, type Issued, newAuthority } from "../support/pki.ts";
import { beginProcess, type ProcessOptions, type StartedProcess } from "../support/service-process.ts";

/** What a caller shows. All but the token are paths of PEM files. */
export interface Credential {
  certificate?: string;
  key?: string;
  token?: string;
}

/** A service as its callers reach it. */
export interface Reached {
  /** `host:port` */
  grpc: string;
  /** `https://host:port` */
  http: string;
  /** Path of the authority of the service's certificate, in PEM. */
  ca: string;
}

const ends: (() => void)[] = [];
process.once("exit", () => {
  for (const end of ends) end();
});

/** Calls `end` when this process ends, however many are to be called so. */
export function atEnd(end: () => void): void {
  ends.push(end);
}

/** A folder of the service and its callers, which is gone when this process ends. */
export interface Folder {
  dir: string;
  ca: string;
  /** Writes each file at once in its place, readable by its owner alone, and gives the path of the last. */
  write(files: Record<string, string>): string;
  /** Writes a caller's certificate and key. */
  credential(issued: Issued): Required<Omit<Credential, "token">>;
  /** A new certificate of the service: PEM of it, and its key. */
  newServerFiles(): Record<"server.pem" | "server.key", string>;
}

/** `names` stand in the service's certificates. */
export function newFolder(names: CertificateOptions = { dns: ["localhost"], addresses: ["127.0.0.1"] }): Folder {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-callers-"));
  atEnd(() => rmSync(dir, { recursive: true, force: true }));
  const authority = newAuthority({ name: "server" });
  let credentials = 0;
  const write: Folder["write"] = (files) => {
    let path = dir;
    for (const [name, text] of Object.entries(files)) {
      path = join(dir, name);
      writeFileSync(`${path}.new`, text, { mode: 0o600 });
      renameSync(`${path}.new`, path);
    }
    return path;
  };
  return {
    dir,
    write,
    ca: write({ "server-ca.pem": authority.pem }),
    credential({ chain, key }) {
      credentials += 1;
      const name = `caller-${credentials}`;
      return { certificate: write({ [`${name}.pem`]: chain }), key: write({ [`${name}.key`]: key }) };
    },
    newServerFiles() {
      const { chain, key } = authority.issue({ ...names, extendedKeyUsage: ["serverAuth"] });
      return { "server.pem": chain, "server.key": key };
    },
  };
}

export interface CalledService extends Reached, Folder {
  process: StartedProcess;
}

/** `files` are the policy, `policy.yaml`, and what it names. */
export async function startCalled(
  folder: Folder,
  files: Record<string, string>,
  { host = "127.0.0.1", env = {}, ...options }: ProcessOptions & { host?: string; env?: Record<string, string> } = {},
): Promise<CalledService> {
  const { dir, write, newServerFiles } = folder;
  write({ ...newServerFiles(), ...files });
  const settings = {
    FLUO_KMS_AUTH: "policy",
    FLUO_KMS_POLICY_FILE: join(dir, "policy.yaml"),
    FLUO_KMS_HOST: host,
    FLUO_KMS_TLS_CERTIFICATE: join(dir, "server.pem"),
    FLUO_KMS_TLS_KEY: join(dir, "server.key"),
  };
  const started = beginProcess({ ...settings, ...env }, { finished: atEnd, ...options });
  // A test awaits what it needs of it.
  started.serving.catch(() => {});
  const [, grpc] = /gRPC on (\S+:\d+)/.exec(await started.said(/gRPC on /))!;
  const [, http] = /(https:\S+:\d+)/.exec(await started.said(/Connect, health/))!;
  return { ...folder, process: started, grpc: grpc!, http: http! };
}

export const mesh: Authority = newAuthority({ name: "mesh" });
export const web: Authority = newAuthority({ name: "web" });
export const ingest = "spiffe://example.org/ns/fluo/sa/ingest";

const app = newStaticToken();
const old = newStaticToken();
export const tokens = { app: app.token, expired: old.token, wrong: newStaticToken().token };

const mayCall = "roles: [generate-data-key, encrypt, status, metrics]";

/** A policy of a caller of each kind, and the files that it names. */
export const policyFiles = {
  "policy.yaml": `version: 1
certificates:
  - { name: mesh, trust-domain: example.org, ca: mesh.pem }
  - { name: web, dns: [.internal.example.org], ca: web.pem }
tokens:
  - { name: app, sha256: "${app.sha256}", expires: 2099-01-01 }
  - { name: old, sha256: "${old.sha256}", expires: 2020-01-01 }
rules:
  - { name: ingest, who: { spiffe: "${ingest}" }, ${mayCall}, tenants: "*" }
  - { name: backend, who: { dns: { certificates: web, name: "backend.internal.example.org" } }, ${mayCall}, tenants: [acme] }
  - { name: app, who: { token: app }, ${mayCall}, tenants: "*" }
  - { name: old, who: { token: old }, ${mayCall}, tenants: "*" }
`,
  "mesh.pem": mesh.pem,
  "web.pem": web.pem,
};
