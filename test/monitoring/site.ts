/**
 * Where services run for these tests: an AWS KMS that can be told to fail, a store, and the files of a production, all of which a test may
 * spoil. Services are processes of their own; they see each other only through the store.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import { roles } from "../../src/call/roles.ts";
import { type AwsKmsFake, type FakeKey, startAwsKms } from "../fakes/aws-kms.ts";
import { awsEnvironment } from "../outage/service.ts";
import { atExit } from "../support/cli-fixture.ts";
import { fromNow } from "../support/from-now.ts";
import { type HttpsIssuer, startHttpsIssuer } from "../support/https-issuer.ts";
import { type Authority, newAuthority } from "../support/pki.ts";
import { type GrpcClient, grpcClient } from "../support/running-service.ts";
import { tokenPolicy } from "../support/token-policy.ts";
import { type ProcessOptions, type ServiceProcess, startProcess } from "../support/service-process.ts";
import { sharedKey } from "../support/signed-tokens.ts";

export interface SiteOptions {
  /** URL of a PostgreSQL database; SQLite in a file without. */
  database?: string;
  /** With a policy, TLS, an issuer of tokens, a tenant with a provider key of its own and a credential that ends; else without any of them. */
  whole?: boolean;
  /** Further settings, as variables. */
  env?: Record<string, string>;
}

export interface Site {
  /** Of all files. */
  dir: string;
  kms: AwsKmsFake;
  /** The service's own, and that of tenant `ownTenant`. */
  key: FakeKey;
  tenantKey: FakeKey;
  issuer: HttpsIssuer | undefined;
  /** Of the services' certificate, and of callers'. */
  authorities: Readonly<Record<"server" | "callers", Authority>>;
  /** A token of a caller with every role; undefined without a policy. */
  token: string | undefined;
  /** The policy that is in force at first. */
  policy: string;
  /** What each service has in its environment, for commands on the same store. */
  env: Readonly<Record<string, string>>;
  /** Writes each file at once in its place; the services look at the policy's and at TLS's by themselves. */
  write(files: Record<string, string>): void;
  /** One more service. */
  start(env?: Record<string, string>, options?: ProcessOptions): Promise<Service>;
  /** Ends services, the AWS KMS and the issuer. */
  end(): Promise<void>;
}

export interface Service extends ServiceProcess {
  /** Whose certificate it believes, with the token of `site`. */
  client: GrpcClient;
}

export const ownTenant = "globex";

/** What Prometheus shows to each service. */
export const scrapeToken = newStaticToken();

export async function newSite({ database, whole = false, env = {} }: SiteOptions = {}): Promise<Site> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-monitoring-"));
  const removed = () => rmSync(dir, { recursive: true, force: true });
  atExit(removed);
  const kms = await startAwsKms({ region: "us-east-1" });
  const [key, tenantKey] = [kms.createKey(), kms.createKey()];
  const authorities = { server: newAuthority({ name: "server" }), callers: newAuthority({ name: "callers" }) };
  const issuer = whole ? await startHttpsIssuer(sharedKey("ES256", "a").jwk) : undefined;
  const { text: policy, tokens } = policyOf(issuer);
  const write = (files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(dir, `${name}.new`), text, { mode: 0o600 });
      renameSync(join(dir, `${name}.new`), join(dir, name));
    }
  };
  const settings: Record<string, string> = {
    ...awsEnvironment,
    FLUO_KMS_PROVIDER: "aws",
    AWS_KMS_REGION: kms.region,
    AWS_KMS_MASTER_KEY_ID: key.arn,
    AWS_KMS_ENDPOINT: kms.url,
    KMS_PROVIDER_CHECK_INTERVAL: "1s",
    ...storeSettings(database, dir),
    ...(whole && wholeSettings(dir)),
    ...env,
  };
  if (whole) for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]) delete settings[name];
  if (whole) {
    write({
      ...serverFiles(authorities.server),
      ...credentialFiles(dir, 7_200),
      "policy.yaml": policy,
      "callers.pem": authorities.callers.pem,
      "callers.crl": authorities.callers.crl(),
      "issuer.pem": issuer!.ca,
      "tenants.properties": `fluo.kms.tenants.${ownTenant}.provider-key=${tenantKey.arn}\n`,
    });
  }
  const services: Service[] = [];
  const token = whole ? tokens.app! : undefined;
  const credentials = () => grpc.credentials.createSsl(Buffer.from(authorities.server.pem));
  return {
    dir,
    kms,
    key,
    tenantKey,
    issuer,
    authorities,
    policy,
    token,
    write,
    env: settings,
    async start(more = {}, options = {}) {
      const heads = join(dir, `heads-${services.length}`);
      const started = await startProcess(
        { ...settings, ...(database !== undefined && { FLUO_KMS_AUDIT_HEADS_FILE: heads }), ...more },
        { finished: atExit, cwd: dir, ...(token !== undefined && { token }), ...options },
      );
      const service = whole ? overTls(started, credentials(), token) : started;
      services.push(service);
      return service;
    },
    async end() {
      await Promise.all(services.map(endOf));
      await Promise.all([kms.close(), issuer?.stop()]);
      removed();
    },
  };
}

/** A credential for AWS that ends in so many seconds, as a role in a cloud has one. */
export function credentialFiles(dir: string, seconds: number): Record<"aws.config" | "credential.json", string> {
  const Expiration = fromNow(seconds * 1_000).toISOString();
  const credential = { Version: 1, AccessKeyId: "AKIDEXAMPLE", SecretAccessKey: "secret", Expiration };
  return {
    "credential.json": JSON.stringify(credential),
    "aws.config": `[default]\ncredential_process = cat ${join(dir, "credential.json")}\n`,
  };
}

/** A certificate of the services and its key, valid for a day unless told otherwise. */
export function serverFiles(authority: Authority, until?: Date): Record<"server.pem" | "server.key", string> {
  const { chain, key } = authority.issue({
    dns: ["localhost"],
    addresses: ["127.0.0.1"],
    extendedKeyUsage: ["serverAuth"],
    ...(until && { until }),
  });
  return { "server.pem": chain, "server.key": key };
}

/** By name, as TLS knows no address. */
function overTls(started: ServiceProcess, credentials: grpc.ChannelCredentials, token: string | undefined): Service {
  const address = started.grpc.replace("127.0.0.1", "localhost");
  return { ...started, grpc: address, client: grpcClient(address, credentials, token) };
}

async function endOf(service: Service): Promise<void> {
  service.client.close();
  await service.end("SIGKILL");
}

function policyOf(issuer: HttpsIssuer | undefined) {
  const issuers =
    issuer &&
    `issuers: [{ name: sso, issuer: "${issuer.url}", audience: fluo-kms, jwks: "${issuer.url}/jwks", ca: issuer.pem }]`;
  const { text, tokens } = tokenPolicy(
    { app: { roles } },
    `separation: off\ncertificates: [{ name: callers, dns: [.internal.example.org], ca: callers.pem, crl: callers.crl }]\n${issuers ?? ""}`,
  );
  const scraper = `  - { name: scraper, sha256: "${scrapeToken.sha256}", expires: 2099-01-01 }`;
  const rule = `  - { name: scraper, who: { token: scraper }, roles: [metrics], tenants: "*" }`;
  const web = `  - { name: web, who: { dns: { certificates: callers, name: a.internal.example.org } }, roles: [encrypt], tenants: "*" }`;
  const ann = `  - { name: ann, who: { jwt: { issuer: sso, subject: ann } }, roles: [encrypt], tenants: "*" }`;
  const rules = ["rules:", rule, web, ...(issuer ? [ann] : [])];
  return {
    text: text.replace("tokens:", `tokens:\n${scraper}`).replace("rules:", rules.join("\n")),
    tokens,
  };
}

function storeSettings(database: string | undefined, dir: string): Record<string, string> {
  return database === undefined
    ? { FLUO_KMS_STORE: "sqlite", FLUO_KMS_SQLITE_FILE: join(dir, "kms.db") }
    : { FLUO_KMS_STORE: "postgres", FLUO_KMS_POSTGRES_URL: database, FLUO_KMS_POSTGRES_MAX_CONNECTIONS: "4" };
}

function wholeSettings(dir: string): Record<string, string> {
  return {
    FLUO_KMS_AUTH: "policy",
    FLUO_KMS_POLICY_FILE: join(dir, "policy.yaml"),
    FLUO_KMS_TLS_CERTIFICATE: join(dir, "server.pem"),
    FLUO_KMS_TLS_KEY: join(dir, "server.key"),
    FLUO_KMS_TENANTS_FILE: join(dir, "tenants.properties"),
    KMS_ROTATION_MIN_AGE: "0s",
    AWS_CONFIG_FILE: join(dir, "aws.config"),
  };
}
