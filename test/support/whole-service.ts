/**
 * What the whole service must do under any provider, over gRPC: create keys, sign, verify, encrypt, decrypt,
 * rotate, restart, and still decrypt and verify. What it made is then opened under other configurations too.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { expect, onTestFinished } from "vitest";
import { plainSpan } from "./api-fixture.ts";
import { type GrpcClient, grpcClient, startService } from "./running-service.ts";
import { tokenPolicy } from "./token-policy.ts";
import { startProcess } from "./service-process.ts";
import { wordsIn } from "./words.ts";

export type ServiceEnv = Record<string, string>;

/** What a service handed out, and who must still be able to use it. */
export interface Evidence {
  tenantId: string;
  tokens: { name: string; token: string }[];
  value: Uint8Array;
  blobs: { ciphertextBlob: Uint8Array; plaintext: Uint8Array }[];
  spans: object[];
  keyIds: string[];
}

const context = { table: "customers" };

/** Makes evidence under every version of a tenant's keys, which are rotated once. */
export async function makeEvidence(client: GrpcClient, tenantId: string): Promise<Evidence> {
  const value = randomBytes(24);
  const evidence: Evidence = { tenantId, value, tokens: [], blobs: [], spans: [], keyIds: [] };
  const collect = async () => {
    const encrypted = await client.encryptPii({
      tenantId,
      fields: [{ name: "email", value }],
      encryptionContext: context,
    });
    const dataKey = await client.generateDataKey({ tenantId, encryptionContext: context });
    const signed = await client.signSpan({ tenantId, span: plainSpan });
    evidence.tokens.push(...encrypted.fields);
    evidence.blobs.push(dataKey);
    evidence.spans.push({ ...plainSpan, attributes: signed.attributes });
    evidence.keyIds.push(encrypted.keyId, signed.keyId);
  };
  await collect();
  await client.rotate({ tenantId, force: true });
  await collect();
  expect(new Set(evidence.keyIds).size).toBe(4); // two versions for each of two purposes
  return evidence;
}

/** All of it opens and verifies, and none of it for another tenant, field or context, or with a changed name. */
export async function checkEvidence(client: GrpcClient, evidence: Evidence): Promise<void> {
  const { tenantId, tokens, value, blobs, spans } = evidence;
  const open = async (request: { tenantId?: string; name?: string; context?: Record<string, string> }) => {
    const fields = tokens.map(({ token, name }) => ({ token, name: request.name ?? name }));
    const asked = { tenantId: request.tenantId ?? tenantId, fields, encryptionContext: request.context ?? context };
    return (await client.decryptPii(asked)).fields.map(({ result }) => result);
  };
  expect(await open({})).toEqual(tokens.map(() => ({ case: "value", value: Buffer.from(value) })));
  const rejected = { case: "error", value: expect.objectContaining({ message: "ciphertext rejected" }) };
  for (const wrong of [{ tenantId: "another" }, { name: "phone" }, { context: {} }]) {
    expect(await open(wrong)).toEqual(tokens.map(() => rejected));
  }
  for (const { ciphertextBlob, plaintext } of blobs) {
    const answer = await client.decryptDataKey({ tenantId, ciphertextBlob, encryptionContext: context });
    expect(answer.plaintext).toEqual(plaintext);
  }
  for (const span of spans) {
    expect(await client.verifySpan({ tenantId, span })).toMatchObject({ verified: true });
    expect(await client.verifySpan({ tenantId, span: { ...span, name: "another" } })).toMatchObject({
      verified: false,
    });
  }
}

export interface Peer {
  /** Tests of Validate whose question this peer may crash on, so that they get no answer. */
  crashesOn?: readonly string[];
}

/** How the service knows its callers, and with what its one caller comes. */
export interface Access {
  env: ServiceEnv;
  token?: string;
  /** As the audit trail names the caller. */
  caller: string;
}

export const withoutPolicy: Access = { env: {}, caller: "anonymous" };

/** By a policy that knows one administrator, who has a static token. */
export function underPolicy(): Access {
  const { text, tokens } = tokenPolicy({ admin: { roles: administration } });
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-access-")), "policy.yaml");
  writeFileSync(file, text);
  // What is made is rotated at once.
  const env = { FLUO_KMS_AUTH: "policy", FLUO_KMS_POLICY_FILE: file, KMS_ROTATION_MIN_AGE: "0s" };
  return { env, token: tokens.admin!, caller: "token:admin" };
}

/** All roles that one rule may have. */
const administration = wordsIn(`
  sign verify encrypt re-encrypt decrypt generate-data-key decrypt-data-key status metrics operate audit key-admin
  break-glass
`);

export const accesses = { none: () => withoutPolicy, policy: underPolicy };

/** One life of a service. Its client has the token that it was started with. */
export interface Life {
  client: GrpcClient;
  /** `127.0.0.1:port` of gRPC. */
  grpc: string;
  /** Gives the exit code, which is 0 unless a process ended otherwise. */
  end(): Promise<number | null>;
}

export type Start = (env: ServiceEnv, options: { token?: string }) => Promise<Life>;

/** Starts the service in this process, whose environment has that of the service until the test has finished. */
export const startHere: Start = async (env, { token }) => {
  const former = Object.keys(env).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, env);
  onTestFinished(() => {
    for (const [name, value] of former) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  const service = await startService(env);
  onTestFinished(service.stop);
  const grpc = `127.0.0.1:${service.grpcPort}`;
  const client = grpcClient(grpc, undefined, token);
  return {
    client,
    grpc,
    async end() {
      client.close();
      await service.stop();
      return 0;
    },
  };
};

/** One life under `env`: Validate passes, evidence is made, and after a restart it opens and the service goes on with the same keys. */
export async function liveThrough(
  env: ServiceEnv,
  { crashesOn = [] }: Peer = {},
  access: Access = withoutPolicy,
  startLife: Start = startProcess,
): Promise<Evidence> {
  const start = () => startLife({ ...env, ...access.env }, access.token === undefined ? {} : { token: access.token });
  const before = await start();
  const { tests } = await before.client.validate({});
  const failed = tests.filter(({ message }) => message !== "");
  expect(failed.filter(({ name, message }) => !crashesOn.includes(name) || !message.includes("UNAVAILABLE"))).toEqual(
    [],
  );
  const tenantId = "acme";
  const evidence = await makeEvidence(before.client, tenantId);
  await checkEvidence(before.client, evidence);
  if (access.token !== undefined) await refusesStrangers(before.grpc, evidence);
  expect(await before.end()).toBe(0);

  const after = await start();
  await checkEvidence(after.client, evidence);
  const { keyId } = await after.client.encryptPii({ tenantId, fields: [{ name: "email", value: evidence.value }] });
  expect(keyId).toBe(evidence.keyIds.at(-2));
  expect(await after.client.admin.verifyAudit({})).toMatchObject({ ok: true });
  const { events } = await after.client.admin.listAuditEvents({ tenantId, pageSize: 1000 });
  expect(events.filter(({ action }) => action === "rotate").map(({ actor }) => actor)).toEqual([
    access.caller,
    access.caller,
  ]);
  expect(await after.end()).toBe(0);
  return evidence;
}

async function refusesStrangers(address: string, { tenantId, tokens }: Evidence): Promise<void> {
  const stranger = grpcClient(address);
  const refused = { code: grpc.status.UNAUTHENTICATED, details: "no credential" };
  await expect(stranger.decryptPii({ tenantId, fields: tokens })).rejects.toMatchObject(refused);
  await expect(stranger.rotate({ tenantId, force: true })).rejects.toMatchObject(refused);
  stranger.close();
}
