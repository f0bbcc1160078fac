/** The fake, without a service: the scenario, refusals by name, the vectors, and what the fakes of other languages made. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { decryptRecord, detailsOf, encryptRecord, type Kms } from "@fluo/kms";
import { ResourceSpansSchema, SignSpanRequestSchema, SpanSchema } from "@fluo/kms/messages";
import { openBytes, openFile, sealBytes, sealFile } from "@fluo/kms/node";
import { createFakeKms, type FakeReason } from "@fluo/kms/testing";
import { parseKeySet } from "@fluo/kms/verify";
import {
  alteredOffline,
  alteredOnline,
  blobOpens,
  fileOpens,
  offline,
  online,
  recordOpens,
  tokensOpen,
} from "./check.ts";
import { type Checks, failureOf, newChecks } from "./checks.ts";
import { batchOf, signEach } from "./signed-spans.ts";
import {
  base64,
  type Evidence,
  fromBase64,
  personNames,
  personOf,
  readJson,
  type Scenario,
  type World,
} from "./world.ts";

export async function fake(world: World): Promise<number> {
  const scenario = readJson<Scenario>(world.scenario);
  const { tenant, context } = scenario;
  const fake = createFakeKms();
  const { kms } = fake;
  const keys = await parseKeySet(fake.keySet());
  const { check, end } = newChecks();
  const made: Record<string, unknown> = { language: "typescript", context };

  await check("SignSpan signs each span", async () => {
    const batch = await signEach(kms, tenant, scenario.batch);
    made.individual = base64(toBinary(ResourceSpansSchema, batch));
    await offline(keys, tenant, { batch, reason: "OK" });
    await online(kms, tenant, { batch, reason: "OK" });
    await alteredOffline(keys, tenant, batch);
    await alteredOnline(kms, tenant, batch);
  });
  await check("EncryptPii encrypts the fields for one tenant", async () => {
    const fields = scenario.fields.map(({ name, value }) => ({ name, value: fromBase64(value) }));
    const answer = await kms.encryptPii({ tenantId: tenant, fields, encryptionContext: context });
    const tokens = answer.fields.map(({ name, token }) => ({ name, token }));
    made.tokens = tokens;
    await tokensOpen(kms, scenario, { tokens, context, isFake: true } as Evidence & { isFake: true });
    const others = await kms.decryptPii({ tenantId: "another", fields: tokens, encryptionContext: context });
    for (const { result } of others.fields) equal(result.case, "error");
  });
  await check("the record is encrypted, and decrypted again", async () => {
    const person = personOf(scenario);
    const sealed = await encryptRecord(kms, tenant, person, personNames, { context });
    deepEqual(await decryptRecord(kms, tenant, sealed, personNames, { context }), person);
    made.record = { email: sealed.email, note: Buffer.from(sealed.note).toString("latin1"), alias: sealed.alias };
  });
  await check("GenerateDataKey gives a blob", async () => {
    made.blob = base64((await kms.generateDataKey({ tenantId: tenant, encryptionContext: context })).ciphertextBlob);
  });
  await check("the file is sealed and opened, as bytes too", async () => {
    const [from, to, opened] = ["plain", "sealed", "opened"].map((name) => join(world.work, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(from, fromBase64(scenario.file));
    await sealFile(kms, tenant, from, to, { context });
    await openFile(kms, tenant, to, opened, { context });
    equal(base64(readFileSync(opened)), scenario.file);
    made.sealed = base64(readFileSync(to));
    const sealed = await sealBytes(kms, tenant, fromBase64(scenario.file), { context });
    equal(base64(await openBytes(kms, tenant, sealed, { context })), scenario.file);
  });
  await check("a refusal has its code, reason and field", async () => {
    const { refused } = scenario;
    const error = ConnectError.from(await failureOf(kms.generateDataKey({ tenantId: refused.tenant })));
    equal(Code[error.code].toUpperCase(), String(refused.code).replaceAll("_", ""));
    const { reason, fields } = detailsOf(error);
    deepEqual([reason, fields.map(({ field }) => field)], [refused.reason, [refused.field]]);
  });
  const encrypt = () => kms.encryptPii({ tenantId: tenant, fields: [{ name: "a", value: new Uint8Array() }] });
  for (const { reason, code, retryMs } of readJson<{ reason: FakeReason; code: number; retryMs?: number }[]>(
    world.refusals,
  ))
    await check(`refuses by name: ${reason}`, async () => {
      fake.refuse("EncryptPii", reason);
      const error = await failureOf(encrypt());
      const details = detailsOf(error);
      deepEqual([ConnectError.from(error).code, details.reason, details.retryAfterMs], [code, reason, retryMs]);
      fake.allow("EncryptPii");
      await encrypt();
    });
  await vectors(world.vectors, check);
  for (const path of world.evidence)
    await check(`evidence ${path}`, async () => {
      const evidence = readJson<Evidence>(path);
      await tokensOpen(kms, scenario, { ...evidence, isFake: true });
      await recordOpens(kms, scenario, evidence);
      await blobOpens(kms, scenario, evidence);
      await fileOpens(kms, scenario, { evidence, name: join(world.work, evidence.language) });
      const batch = batchOf(evidence.individual);
      await offline(keys, tenant, { batch, reason: "OK" });
      await online(kms, tenant, { batch, reason: "OK" });
    });
  writeFileSync(world.out, JSON.stringify(made));
  return end();
}

interface Token {
  name: string;
  tenant_id: string;
  field: string;
  pairs: [string, string][];
  token: string;
}

async function vectors(folder: string, check: Checks["check"]): Promise<void> {
  const read = <T>(name: string) => readJson<T>(join(folder, `${name}.json`));
  const accepted = read<{
    signedAtMs: number;
    tenant: string;
    spans: { name: string; signSpanRequest: string; statement: string; signature: string }[];
  }>("span/accepted");
  const { kms } = createFakeKms({ now: () => accepted.signedAtMs });
  for (const { name, ...token } of read<(Token & { plaintext_bytes: number })[]>("pii/tokens"))
    await check(`token: ${name}`, async () => {
      const { result } = await open(kms, token);
      ok(result.case === "value" && result.value.length === token.plaintext_bytes);
    });
  for (const { name, ...token } of read<Token[]>("pii/rejected"))
    await check(`rejected: ${name}`, async () =>
      equal((await open(kms, token)).result.value instanceof Uint8Array, false),
    );
  for (const { name, signSpanRequest, statement, signature } of accepted.spans)
    await check(`span: ${name}`, async () => {
      const signed = await kms.signSpan(fromBinary(SignSpanRequestSchema, Buffer.from(signSpanRequest, "hex")));
      equal(Buffer.from(signed.statement).toString(), statement);
      equal(Buffer.from(signed.signature).toString("hex"), signature);
    });
  for (const { name, span, field } of read<{ name: string; span: string; field: string | null }[]>("span/refused")) {
    const bytes = Buffer.from(span, "hex");
    const message = decoded(bytes);
    // What a typed message cannot hold, no client can send.
    if (message === undefined) continue;
    await check(`refused: ${name}`, async () => {
      const error = await failureOf(kms.signSpan({ tenantId: accepted.tenant, span: message }));
      equal(ConnectError.from(error).code, Code.InvalidArgument);
      if (field !== null) equal(detailsOf(error).fields[0]?.field, field);
    });
  }
}

function decoded(bytes: Buffer) {
  try {
    const message = fromBinary(SpanSchema, bytes);
    return bytes.equals(toBinary(SpanSchema, message)) ? message : undefined;
  } catch {
    return undefined;
  }
}

async function open(
  kms: Pick<Kms, "decryptPii">,
  { tenant_id: tenantId, field: name, pairs, token }: Omit<Token, "name">,
) {
  const request = { tenantId, fields: [{ name, token }], encryptionContext: Object.fromEntries(pairs) };
  return (await kms.decryptPii(request)).fields[0]!;
}
