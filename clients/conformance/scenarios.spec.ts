/** Each language produces evidence, and each checks that of all: across rotations, and after a key was marked as compromised. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { type ServiceProcess, startProcess } from "../../test/support/service-process.ts";
import { describeWhole } from "../../test/support/short.ts";
import { batchOf, numberedSpan, spansFrom } from "../../test/support/span-batches.ts";
import { openStream } from "../../test/support/stream-client.ts";
import { atEnd, chosen, type Language, newFolder, root, runProgram } from "./programs.ts";

const scenario = join(import.meta.dirname, "scenario.json");
const folder = newFolder("scenarios-");
const wycheproof = join(root, "..", "shared", "vectors", "wycheproof");

let service: ServiceProcess;
beforeAll(async () => {
  service = await startProcess({ FLUO_KMS_ISSUER: "kms.example.com" }, { finished: atEnd });
});
afterAll(async () => {
  await service.end();
});

/** Its first keys, so that there is something to list. */
async function prepare(tenantId: string): Promise<void> {
  await service.client.signSpan({ tenantId, span: numberedSpan(1) });
  await service.client.generateDataKey({ tenantId });
}

async function rotate(tenantId: string): Promise<void> {
  for (const purpose of [KeyPurpose.SIGNING, KeyPurpose.DATA])
    await service.client.rotate({ tenantId, purpose, force: true });
}

/** The scenario of another tenant, as a path. */
function scenarioOf(tenant: string): string {
  const path = join(folder, `${tenant}.json`);
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(scenario, "utf8")), tenant }));
  return path;
}

function evidencePath(tenant: string, { name }: Language): string {
  return join(folder, `${tenant}-${name}.json`);
}

async function produce(tenant: string, language: Language): Promise<void> {
  const told = await runProgram(language, "produce", {
    service: service.grpc,
    connect: service.http,
    scenario: scenarioOf(tenant),
    out: evidencePath(tenant, language),
    work: newFolder(),
  });
  expect(told.failures).toEqual([]);
  expect(told.passed).toBeGreaterThan(0);
}

async function check(tenant: string, by: Language, of: readonly Language[], expectations: object = {}): Promise<void> {
  const keys = join(folder, `${tenant}-keys.json`);
  writeFileSync(keys, await (await fetch(`${service.http}/api/kms/tenants/${tenant}/jwks.json`)).text());
  // One that could not be produced is a failure of its own.
  const evidence = of.map((language) => evidencePath(tenant, language)).filter(existsSync);
  const told = await runProgram(by, "check", {
    service: service.grpc,
    connect: service.http,
    scenario: scenarioOf(tenant),
    keys,
    evidence,
    work: newFolder(),
    vectors: join(root, "test", "vectors"),
    wycheproof,
    ...expectations,
  });
  expect(told.failures).toEqual([]);
  // A span twice, in each mode, and tokens.
  expect(told.passed).toBeGreaterThan(evidence.length * 10);
}

/** The key that signs now. */
async function activeKey(tenantId: string): Promise<string> {
  return (await service.client.signSpan({ tenantId, span: numberedSpan(1) })).keyId;
}

async function signInLog(tenantId: string): Promise<void> {
  const stream = openStream(service.grpc);
  await stream.send(batchOf(spansFrom(0, 3), { tenantId, mode: SignMode.LOG }));
  stream.halfClose();
  await stream.rest();
  stream.close();
}

const named = chosen.map((language) => [language.title, language] as const);

describe("a tenant whose keys are rotated", () => {
  const tenant = "conformance";
  beforeAll(() => prepare(tenant));

  it.each(named)("has evidence produced in %s", async (_, language) => {
    await produce(tenant, language);
    await rotate(tenant);
  });

  it.each(named)("has that of all checked in %s", async (_, language) => {
    await check(tenant, language, chosen);
  });
});

describeWhole("a tenant whose key was compromised, after its log went on", () => {
  const tenant = "compromised";
  beforeAll(async () => {
    await prepare(tenant);
    for (const language of chosen) await produce(tenant, language);
    await signInLog(tenant);
    await service.client.admin.markKeyCompromised({ tenantId: tenant, keyId: await activeKey(tenant) });
  });

  it.each(named)(
    "has what it signed refused in %s, but by the service, which knows what was in the log",
    async (_, by) => {
      await check(tenant, by, chosen, {
        expect: { individual: "KEY_COMPROMISED", log: "KEY_COMPROMISED" },
        expectService: { individual: "KEY_COMPROMISED", log: "OK" },
      });
    },
  );
});

describeWhole("a tenant whose key was compromised behind what was recorded of its log", () => {
  const tenant = "recorded";
  const first = chosen.slice(0, 1);
  beforeAll(async () => {
    await prepare(tenant);
    for (const language of first) await produce(tenant, language);
    await service.client.admin.markKeyCompromised({ tenantId: tenant, keyId: await activeKey(tenant) });
  });

  it.each(named)("has its log believed in %s", async (_, by) => {
    await check(tenant, by, first, { expect: { individual: "KEY_COMPROMISED", log: "OK" } });
  });
});
