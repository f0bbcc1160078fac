/**
 * A service as production has it: profile prod, AWS KMS (the faithful fake), a policy, TLS, PostgreSQL over verified TLS,
 * a heads file, a backup and a drill that are noted. And `preflight` of it, as a process.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { Line } from "../../src/cli/preflight/line.ts";
import { type AwsKmsFake, type FakeKey, startAwsKms } from "../fakes/aws-kms.ts";
import { atExit, type Result, run } from "./cli-fixture.ts";
import { eventually } from "./eventually.ts";
import { newAuthority } from "./pki.ts";
import { tokenPolicy } from "./token-policy.ts";
import { startPostgres } from "./postgres-server.ts";
import { type ServiceProcess, startProcess } from "./service-process.ts";

export interface Production extends AsyncDisposable {
  directory: string;
  /** Variables of the service, and of commands beside it. */
  env: Record<string, string>;
  /** Names of files. */
  policyFile: string;
  /** The administrator's; `viewer.token` and `app.token` are beside it. */
  tokenFile: string;
  caFile: string;
  kms: AwsKmsFake;
  key: FakeKey;
  service: ServiceProcess;
  run(...args: string[]): Promise<Result>;
  preflight(...args: string[]): Promise<Preflight>;
  /** The same with other variables. */
  preflightWith(env: Record<string, string>): Promise<Preflight>;
}

interface Preflight {
  code: number | null;
  answer: {
    ok: boolean;
    release: { command: string; service: string | null };
    time: string;
    address: string;
    checks: (Line & { waived: boolean })[];
  };
}

const credentials = {
  AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "secret",
  AWS_EC2_METADATA_DISABLED: "true",
};

export async function startProduction(): Promise<Production> {
  await using parts = new AsyncDisposableStack();
  const directory = parts.adopt(mkdtempSync(join(tmpdir(), "fluo-kms-production-")), (path) =>
    rmSync(path, { recursive: true }),
  );
  chmodSync(directory, 0o700);
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  const authority = newAuthority();
  const issued = () =>
    authority.issue({ dns: ["localhost"], addresses: ["127.0.0.1"], extendedKeyUsage: ["serverAuth"] });
  const caFile = file("ca.pem", authority.pem);
  const postgres = parts.adopt(await startPostgres({ tls: issued() }), (each) => each.close());
  const database = new URL(await postgres.createDatabase());
  database.hostname = "localhost";
  database.searchParams.set("sslmode", "verify-full");
  const kms = parts.adopt(await startAwsKms({ region: "eu-central-1" }), (each) => each.close());
  const key = kms.createKey();
  key.rotationDays = 365;
  const { text, tokens } = tokenPolicy(
    {
      admin: { roles: ["status", "metrics", "operate", "audit", "key-admin"] },
      viewer: { roles: ["status"] },
      app: { roles: ["generate-data-key"] },
    },
    "destruction: two-person",
  );
  const [policyFile, tokenFile] = [file("policy.yaml", text), file("admin.token", tokens.admin!)];
  for (const name of ["viewer", "app"]) file(`${name}.token`, tokens[name]!);
  const { chain, key: tlsKey } = issued();
  const env = {
    ...credentials,
    FLUO_KMS_PROFILE: "prod",
    FLUO_KMS_ISSUER: "kms.example.com",
    FLUO_KMS_PROVIDER: "aws",
    AWS_KMS_MASTER_KEY_ID: key.arn,
    AWS_KMS_REGION: kms.region,
    AWS_KMS_ENDPOINT: kms.url,
    FLUO_KMS_STORE: "postgres",
    FLUO_KMS_POSTGRES_URL: database.href,
    FLUO_KMS_POSTGRES_CA: caFile,
    FLUO_KMS_AUTH: "policy",
    FLUO_KMS_POLICY_FILE: policyFile,
    FLUO_KMS_TLS_CERTIFICATE: file("server.pem", chain),
    FLUO_KMS_TLS_KEY: file("server.key", tlsKey),
    FLUO_KMS_AUDIT_HEADS_FILE: join(directory, "kms.heads"),
    FLUO_KMS_BACKUP_INTERVAL: "1h",
    KMS_PROVIDER_CHECK_INTERVAL: "1s",
  };
  const service = await startProcess(env, { cwd: directory, finished: atExit });
  parts.defer(async () => void (await service.end()));
  const shown = { FLUO_KMS_ADDR: service.http, FLUO_KMS_CACERT: caFile, FLUO_KMS_TOKEN_FILE: tokenFile };
  const command = (args: readonly string[], more: object = {}) =>
    run(args, { env: { ...env, ...shown, ...more }, cwd: directory, finished: untilExit });
  await drilled(command, file);
  await eventually(
    async () => {
      const { out } = await command(["status", "--json"]);
      expect(JSON.parse(out).integrity.finished).not.toBeNull();
    },
    { everyMs: 500 },
  );
  const preflight = async (args: readonly string[], more: object = {}) => {
    const { code, out } = await command(["preflight", "--json", ...args], more);
    return { code, answer: JSON.parse(out) };
  };
  const rest = parts.move();
  return {
    directory,
    env,
    policyFile,
    tokenFile,
    caFile,
    kms,
    key,
    service,
    run: (...args) => command(args),
    preflight: (...args) => preflight(args),
    preflightWith: (more) => preflight([], more),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

const ends: (() => void)[] = [];
process.once("exit", () => {
  for (const end of ends) end();
});

/** One listener for all commands, each of which ends by itself. */
function untilExit(end: () => void): void {
  ends.push(end);
}

type Command = (args: readonly string[], more?: object) => Promise<Result>;

/** Backs the store up, restores that beside it, checks the copy, and notes both in the store. */
async function drilled(command: Command, file: (name: string, text: string) => string): Promise<void> {
  const backup = await command(["backup", "kms.backup"]);
  expect(backup, "the backup").toMatchObject({ code: 0, err: "" });
  const copy = {
    FLUO_KMS_STORE: "sqlite",
    FLUO_KMS_SQLITE_FILE: file("copy.name", "").replace("copy.name", "copy.db"),
  };
  const elsewhere = { ...copy, FLUO_KMS_AUDIT_HEADS_FILE: undefined, FLUO_KMS_POSTGRES_CA: undefined };
  expect(await command(["restore", "kms.backup"], elsewhere), "the restore").toMatchObject({ code: 0 });
  const check = await command(["check", "--json"], elsewhere);
  expect(check, "the check").toMatchObject({ code: 0 });
  expect(await command(["note-check", file("report.json", check.out)]), "the note").toMatchObject({ code: 0 });
}
