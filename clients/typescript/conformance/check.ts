/** Checks the evidence of all clients: offline, and by the service. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createKms, decryptRecord, type Kms, verifySpan } from "@fluo/kms";
import { type ResourceSpans, VerifyReason } from "@fluo/kms/messages";
import { openFile, SealedFileError } from "@fluo/kms/node";
import { type KeySet, parseKeySet, verifyExport } from "@fluo/kms/verify";
import { newChecks } from "./checks.ts";
import { batchOf, exportOf } from "./signed-spans.ts";
import {
  type Evidence,
  fromBase64,
  grpcKms,
  personNames,
  personOf,
  readJson,
  type Scenario,
  type World,
} from "./world.ts";

export async function check(world: World): Promise<number> {
  const scenario = readJson<Scenario>(world.scenario);
  const { tenant } = scenario;
  const grpc = grpcKms(world);
  const clients: [string, Kms][] = [["gRPC", grpc]];
  if (world.connect !== undefined) clients.push(["Connect", createKms({ baseUrl: world.connect })]);
  const keys = await parseKeySet(readFileSync(world.keys, "utf8"));
  const checks = newChecks();
  const expect = world.expect ?? { individual: "OK", log: "OK" };
  const byService = world.expectService ?? expect;

  for (const [i, file] of world.evidence.entries()) {
    const evidence = readJson<Evidence>(file);
    const of = evidence.language;
    for (const kind of ["individual", "log"] as const) {
      const batch = batchOf(evidence[kind]);
      await checks.check(`${of}: ${kind} spans offline`, () => offline(keys, tenant, { batch, reason: expect[kind] }));
      await checks.check(`${of}: altered ${kind} spans offline`, () => alteredOffline(keys, tenant, batch));
      for (const [name, kms] of clients) {
        await checks.check(`${of}: ${kind} spans by ${name}`, () =>
          online(kms, tenant, { batch, reason: byService[kind] }),
        );
        await checks.check(`${of}: altered ${kind} spans by ${name}`, () => alteredOnline(kms, tenant, batch));
      }
    }
    for (const [name, kms] of clients) {
      await checks.check(`${of}: tokens by ${name}`, () => tokensOpen(kms, scenario, evidence));
      await checks.check(`${of}: the blob by ${name}`, () => blobOpens(kms, scenario, evidence));
      if (evidence.record !== undefined)
        await checks.check(`${of}: the record by ${name}`, () => recordOpens(kms, scenario, evidence));
      if (evidence.sealed !== undefined)
        await checks.check(`${of}: the sealed file by ${name}`, () =>
          fileOpens(kms, scenario, { evidence, name: join(world.work, `${i}-${name}`) }),
        );
    }
  }
  grpc.close();
  return checks.end();
}

interface Expected {
  batch: ResourceSpans;
  reason: string;
}

export async function offline(keys: KeySet, tenant: string, { batch, reason }: Expected): Promise<void> {
  const verdicts = await verifyExport(keys, exportOf(batch), tenant);
  deepEqual(
    verdicts.map((each) => each.reason),
    requestsOf(batch, tenant).map(() => reason),
  );
  // The request of one span gives the same.
  for (const request of requestsOf(batch, tenant)) equal((await verifySpan(keys, request)).reason, reason);
}

export async function alteredOffline(keys: KeySet, tenant: string, batch: ResourceSpans): Promise<void> {
  const verdicts = await verifyExport(keys, exportOf(altered(batch)), tenant);
  ok(verdicts.length > 0 && verdicts.every(({ verified }) => !verified), "an altered span verifies");
}

export async function online(kms: Kms, tenant: string, { batch, reason }: Expected): Promise<void> {
  for (const request of requestsOf(batch, tenant)) {
    const answer = await kms.verifySpan(request);
    equal(answer.reason, VerifyReason[reason as keyof typeof VerifyReason]);
    equal(answer.verified, reason === "OK");
  }
}

export async function alteredOnline(kms: Kms, tenant: string, batch: ResourceSpans): Promise<void> {
  for (const request of requestsOf(altered(batch), tenant))
    equal((await kms.verifySpan(request)).verified, false, "an altered span verifies");
}

function requestsOf({ resource, scopeSpans }: ResourceSpans, tenantId: string) {
  return scopeSpans.flatMap(({ scope, spans }) =>
    spans.map((span) => ({ tenantId, span, ...(resource && { resource }), ...(scope && { scope }) })),
  );
}

function altered(batch: ResourceSpans): ResourceSpans {
  const copy = structuredClone(batch);
  for (const { spans } of copy.scopeSpans) for (const span of spans) span.name += "!";
  return copy;
}

export async function tokensOpen(
  kms: Kms,
  { tenant, fields }: Scenario,
  { tokens, context, isFake = false }: Evidence & { isFake?: boolean },
): Promise<void> {
  const opened = async (list: Evidence["tokens"], encryptionContext: Record<string, string>) => {
    const answer = await kms.decryptPii({ tenantId: tenant, fields: list, encryptionContext });
    return answer.fields.map(({ result }) =>
      result.case === "value" ? Buffer.from(result.value).toString("base64") : result.value?.code,
    );
  };
  const values = fields.map(({ value }) => value);
  deepEqual(await opened(tokens, context), values);
  deepEqual(await opened([{ ...tokens[0]!, name: "other" }], context), [3]);
  deepEqual(
    await opened(tokens, { ...context, other: "x" }),
    tokens.map(() => 3),
  );
  if (isFake) return; // it does not encrypt anew
  const renewed = await kms.reEncryptPii({ tenantId: tenant, fields: tokens, encryptionContext: context });
  const again = renewed.fields.map(({ name, result }) => ({
    name,
    token: result.case === "token" ? result.value : "",
  }));
  deepEqual(await opened(again, context), values);
}

export async function blobOpens(kms: Kms, { tenant }: Scenario, { blob, context }: Evidence): Promise<void> {
  const request = { tenantId: tenant, ciphertextBlob: fromBase64(blob), encryptionContext: context };
  const { plaintext } = await kms.decryptDataKey(request);
  plaintext.fill(0);
  equal(plaintext.length, 32);
}

export async function recordOpens(kms: Kms, scenario: Scenario, { record, context }: Evidence): Promise<void> {
  const { email, note, alias } = record!;
  const sealed = { id: scenario.record.id, email, note: new TextEncoder().encode(note), alias };
  const names = { email: personNames.email, note: personNames.note, alias: personNames.alias };
  deepEqual(await decryptRecord(kms, scenario.tenant, sealed, names, { context }), personOf(scenario));
}

export async function fileOpens(
  kms: Kms,
  { tenant, file }: Scenario,
  { evidence, name }: { evidence: Evidence; name: string },
): Promise<void> {
  const [from, to] = [`${name}.sealed`, `${name}.opened`];
  const sealed = fromBase64(evidence.sealed!);
  writeFileSync(from, sealed);
  await openFile(kms, tenant, from, to, { context: evidence.context });
  equal(readFileSync(to).toString("base64"), file);
  sealed[sealed.length - 1]! ^= 1;
  writeFileSync(from, sealed);
  writeFileSync(to, "as before");
  const before = readdirSync(join(name, ".."));
  await rejects(openFile(kms, tenant, from, to, { context: evidence.context }), SealedFileError);
  equal(readFileSync(to, "utf8"), "as before");
  deepEqual(readdirSync(join(name, "..")), before);
  ok(existsSync(to));
}
