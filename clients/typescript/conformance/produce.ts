/** Makes evidence for the other clients to check. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createKms, decryptRecord, detailsOf, encryptRecord, type Kms, listKeys, listPublicKeys } from "@fluo/kms";
import { ResourceSpansSchema } from "@fluo/kms/messages";
import { sealFile } from "@fluo/kms/node";
import { failureOf, newChecks } from "./checks.ts";
import { signEach, signInLog, withAttributes } from "./signed-spans.ts";
import { base64, fromBase64, grpcKms, personNames, personOf, readJson, type Scenario, type World } from "./world.ts";

export async function produce(world: World): Promise<number> {
  const scenario = readJson<Scenario>(world.scenario);
  const { tenant, batch, context } = scenario;
  const grpc = grpcKms(world);
  const clients: [string, Kms][] = [["gRPC", grpc]];
  if (world.connect !== undefined) clients.push(["Connect", createKms({ baseUrl: world.connect })]);
  const { check, end } = newChecks();
  const made: Record<string, unknown> = { language: "typescript", context };

  for (const [name, kms] of clients) {
    await check(`${name}: SignSpan signs each span`, async () => {
      made.individual = base64(toBinary(ResourceSpansSchema, await signEach(kms, tenant, batch)));
    });
    await check(`${name}: EncryptPii encrypts the fields`, async () => {
      const fields = scenario.fields.map(({ name, value }) => ({ name, value: fromBase64(value) }));
      const answer = await kms.encryptPii({ tenantId: tenant, fields, encryptionContext: context });
      made.tokens = answer.fields.map(({ name, token }) => ({ name, token }));
    });
    await check(`${name}: the record is encrypted, and decrypted again`, async () => {
      const person = personOf(scenario);
      const sealed = await encryptRecord(kms, tenant, person, personNames, { context });
      equal(sealed.id, person.id);
      ok(!("phone" in sealed), "phone came from nowhere");
      ok(sealed.email.startsWith("fk1.") && sealed.alias.startsWith("fk1."), "a value is no token");
      deepEqual(await decryptRecord(kms, tenant, sealed, personNames, { context }), person);
      made.record = { email: sealed.email, note: Buffer.from(sealed.note).toString("latin1"), alias: sealed.alias };
    });
    await check(`${name}: GenerateDataKey gives a blob`, async () => {
      const { ciphertextBlob, plaintext } = await kms.generateDataKey({ tenantId: tenant, encryptionContext: context });
      equal(plaintext.length, 32);
      plaintext.fill(0);
      made.blob = base64(ciphertextBlob);
    });
    await check(`${name}: the file is sealed`, async () => {
      const [from, to] = [join(world.work, `${name}.plain`), join(world.work, `${name}.sealed`)];
      writeFileSync(from, fromBase64(scenario.file));
      await sealFile(kms, tenant, from, to, { context });
      made.sealed = base64(readFileSync(to));
    });
    await check(`${name}: a refusal has its code, reason and field`, async () => {
      const { refused } = scenario;
      const error = ConnectError.from(await failureOf(kms.generateDataKey({ tenantId: refused.tenant })));
      equal(Code[error.code].toUpperCase(), String(refused.code).replaceAll("_", ""));
      const { reason, fields } = detailsOf(error);
      deepEqual(
        { reason, fields: fields.map(({ field }) => field) },
        { reason: refused.reason, fields: [refused.field] },
      );
    });
    await check(`${name}: keys are the same in pages of one`, async () => {
      const ids = async (pageSize: number) => {
        const found: string[] = [];
        for await (const { version } of listKeys(kms, { tenantId: tenant, pageSize })) found.push(version!.keyId);
        return found;
      };
      const all = await ids(100);
      ok(all.length >= 2, `there are ${all.length} keys`);
      deepEqual(await ids(1), all);
    });
    await check(`${name}: public keys are the same in pages of one`, async () => {
      const found = new Set<string>();
      for await (const each of listPublicKeys(kms, { tenantId: tenant, pageSize: 1 }))
        if (each.$typeName === "fluo.kms.v1.PublicKey") found.add(each.keyId);
      const { keys } = await kms.getPublicKeys({ tenantId: tenant });
      deepEqual(found, new Set(keys.map(({ keyId }) => keyId)));
    });
  }

  await check("a deadline passes", async () => {
    const error = ConnectError.from(await failureOf(grpc.status({}, { timeoutMs: 0.001 })));
    equal(error.code, Code.DeadlineExceeded);
  });
  await check("SignSpans signs the batch in the log, and again with the same places", async () => {
    const requestId = `typescript-${crypto.randomUUID()}`;
    const first = await signInLog(grpc, tenant, { batch, requestId });
    const second = await signInLog(grpc, tenant, { batch, requestId });
    deepEqual(second.indices, first.indices);
    made.log = base64(toBinary(ResourceSpansSchema, withAttributes(batch, first.attributes)));
  });
  grpc.close();
  writeFileSync(world.out, JSON.stringify(made));
  return end();
}
