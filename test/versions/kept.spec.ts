/**
 * This version on what one kept that knew no data directory, from its own sources in FLUO_VERSIONS_FORGETFUL: whatever setting said where keys are, they
 * are there still, and open what was encrypted before.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it, onTestFinished } from "vitest";
import { type AwsKmsFake, startAwsKms } from "../fakes/aws-kms.ts";
import { plainSpan } from "../support/api-fixture.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { beginProcess, startProcess, watchProcess } from "../support/service-process.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";

const sources = process.env.FLUO_VERSIONS_FORGETFUL;
const server = await sharedPostgres();
const kms: AwsKmsFake = await startAwsKms({ region: "eu-west-1" });
afterAll(() => Promise.all([server.close(), kms.close()]));

const tenantId = "acme";
const fields = [{ name: "email", value: Buffer.from("ann@example.com") }];
const masterKey = "fluo.kms.local.master-key-file=master.key";
const aws = `fluo.kms.provider=aws\naws.kms.region=eu-west-1\naws.kms.endpoint=${kms.url}\naws.kms.master-key-id=${kms.createKey().arn}`;
const credentials = {
  AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "secret",
  AWS_EC2_METADATA_DISABLED: "true",
};
const ports = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };

function place(properties: string): string {
  const cwd = mkdtempSync(join(tmpdir(), "fluo-kms-kept-"));
  writeFileSync(join(cwd, "application.properties"), properties);
  return cwd;
}

function beginFormer(cwd: string) {
  const env = { PATH: process.env.PATH, ...ports, ...credentials };
  const child = spawn(process.execPath, [join(sources!, "src", "main.js")], { cwd, env });
  onTestFinished(() => void child.kill("SIGKILL"));
  return watchProcess(child);
}

/** What a former service gives before it ends. */
async function formerLife(cwd: string) {
  const { client, end } = await beginFormer(cwd).serving;
  const { fields: tokens } = await client.encryptPii({ tenantId, fields });
  const { attributes } = await client.signSpan({ tenantId, span: plainSpan });
  expect(await end()).toBe(0);
  return { tokens, attributes };
}

async function resultOf(client: GrpcClient, tokens: Awaited<ReturnType<typeof formerLife>>["tokens"]) {
  return (await client.decryptPii({ tenantId, fields: tokens })).fields[0]!.result;
}

it.each([
  ["a master key alone", masterKey, "fluo-kms.db"],
  ["a master key and store sqlite", `${masterKey}\nfluo.kms.store=sqlite`, "fluo-kms.db"],
  ["a master key and a file", `${masterKey}\nfluo.kms.sqlite.file=my.db`, "my.db"],
  ["a provider and no store", aws, "fluo-kms.db"],
  ["a provider and a file", `${aws}\nfluo.kms.sqlite.file=my.db`, "my.db"],
])("opens yesterday's tokens with %s, where they were", async (_what, properties, file) => {
  const cwd = place(properties);
  const { tokens, attributes } = await formerLife(cwd);
  const { client } = await startProcess(credentials, { cwd });
  expect(await resultOf(client, tokens)).toEqual({ case: "value", value: fields[0]!.value });
  expect(await client.verifySpan({ tenantId, span: { ...plainSpan, attributes } })).toMatchObject({ verified: true });
  expect(readdirSync(cwd)).toContain(file);
  expect(readdirSync(cwd)).not.toContain("fluo-kms-data");
});

it("opens yesterday's tokens with PostgreSQL, and makes nothing beside it", async () => {
  const url = await server.createDatabase();
  const cwd = place(`${masterKey}\nfluo.kms.store=postgres\nfluo.kms.postgres.url=${url}`);
  const { tokens } = await formerLife(cwd);
  const { client } = await startProcess({}, { cwd });
  expect(await resultOf(client, tokens)).toEqual({ case: "value", value: fields[0]!.value });
  expect(readdirSync(cwd).sort()).toEqual(["application.properties", "master.key"]);
});

it.each([
  ["store memory", "fluo.kms.store=memory"],
  ["provider local", "fluo.kms.provider=local"],
  ["a file without a master key", "fluo.kms.sqlite.file=my.db"],
])("keeps nothing with %s, as before", async (_what, properties) => {
  const cwd = place(properties);
  const { tokens } = await formerLife(cwd);
  const { client } = await startProcess({}, { cwd });
  expect(await resultOf(client, tokens)).toMatchObject({ case: "error" });
  expect(readdirSync(cwd)).toEqual(["application.properties"]);
});

it.each([
  ["store sqlite without a master key", "fluo.kms.store=sqlite"],
  ["PostgreSQL without a master key", "fluo.kms.store=postgres\nfluo.kms.postgres.url=postgres://kms@127.0.0.1:1/kms"],
])("refuses %s as before, and makes none", async (_what, properties) => {
  const cwd = place(properties);
  const refused = await Promise.all(
    [beginFormer(cwd), beginProcess({}, { cwd })].map(({ serving, ended }) =>
      serving.then(
        () => "serves",
        () => ended,
      ),
    ),
  );
  expect(refused[0]).toMatchObject({ code: 2, err: expect.stringContaining("outlives a restart") });
  expect(refused[1]).toEqual(refused[0]);
  expect(readdirSync(cwd)).toEqual(["application.properties"]);
});

it("keeps keys from now on where nothing was set, and nothing was kept", async () => {
  const cwd = place("");
  const { tokens } = await formerLife(cwd);
  expect(readdirSync(cwd)).toEqual(["application.properties"]);
  const { client } = await startProcess({}, { cwd });
  expect(await resultOf(client, tokens)).toMatchObject({ case: "error" });
  expect(readdirSync(cwd)).toContain("fluo-kms-data");
});
