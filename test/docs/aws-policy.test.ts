/** The policy of docs/AWS_KMS_SETUP.md lets the service do all that it does, and nothing else. */
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { Outcome } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { plainSpan } from "../support/api-fixture.ts";
import type { AwsKmsFake, FakeKey } from "../fakes/aws-kms.ts";
import { thrownBy } from "../support/matchers.ts";
import { openOn, startFake, useCredentials } from "../support/aws-fixture.ts";
import { startService } from "../support/running-service.ts";
import { allows, type Policy } from "./iam-policy.ts";

useCredentials();

const docs = join(import.meta.dirname, "..", "..", "docs");
const text = readFileSync(join(docs, "aws-kms-policy.json"), "utf8");

let kms: AwsKmsFake;
let key: FakeKey;
let policy: Policy;
beforeAll(async () => {
  kms = await startFake();
  key = kms.createKey();
  policy = JSON.parse(text.replaceAll("KEY-ARN", key.arn));
  kms.deny((request) => !allows(policy, request));
});

function settings(file: string): Record<string, string> {
  return {
    "fluo.kms.provider": "aws",
    "aws.kms.master-key-id": key.arn,
    "aws.kms.region": kms.region,
    "aws.kms.endpoint": kms.url,
    "fluo.kms.sqlite.file": file,
  };
}

const newFile = () => join(mkdtempSync(join(tmpdir(), "fluo-kms-policy-")), "kms.db");

it("is the one that the guide shows", () => {
  expect(readFileSync(join(docs, "AWS_KMS_SETUP.md"), "utf8")).toContain(`\`\`\`json\n${text}\`\`\`\n`);
});

it("lets the service start, validate, serve, rotate and start again, with every action that it names", async () => {
  const file = newFile();
  const before = kms.log.length;
  const first = await startService(settings(file));
  expect(await first.grpc.validate({})).toMatchObject({ overall: Outcome.PASS });
  expect(await first.grpc.validate({ tenantId: "acme" })).toMatchObject({ overall: Outcome.PASS });
  const value = Buffer.from("ann@example.com");
  const { fields } = await first.grpc.encryptPii({ tenantId: "acme", fields: [{ name: "email", value }] });
  await first.grpc.signSpan({ tenantId: "acme", span: plainSpan });
  await first.grpc.rotate({ tenantId: "acme", force: true });
  await first.stop();
  const second = await startService(settings(file));
  const opened = await second.grpc.decryptPii({ tenantId: "acme", fields });
  expect(opened.fields[0]!.result).toEqual({ case: "value", value });
  await second.stop();
  const log = kms.log.slice(before);
  expect(log.filter(({ outcome }) => outcome === "AccessDeniedException")).toEqual([]);
  const used = new Set(log.map(({ operation }) => `kms:${operation}`));
  expect(used).toEqual(new Set(policy.Statement.flatMap(({ Action }) => Action)));
});

describe("allows nothing", () => {
  const other: [what: string, context: Record<string, string>][] = [
    ["without a context", {}],
    ["for another purpose", { tenant_id: "acme", purpose: "backup", key_id: "1" }],
    ["without a purpose", { tenant_id: "acme", key_id: "1" }],
    ["without a tenant", { purpose: "data", key_id: "1" }],
    ["for a tenant without a name", { tenant_id: "", purpose: "data", key_id: "1" }],
    ["with a name more", { tenant_id: "acme", purpose: "data", key_id: "1", app: "x" }],
    ["with a name spelt otherwise", { Tenant_id: "acme", purpose: "data", key_id: "1" }],
    ["of the store under a tenant's purpose", { purpose: "data", store_id: "1" }],
    ["of a tenant under the store's purpose", { tenant_id: "acme", purpose: "store", key_id: "1" }],
  ];
  it.each(other)("%s", async (_, context) => {
    const [provider] = await openOn([kms], key.arn);
    for (const call of [() => provider.encrypt(Buffer.alloc(32), context), () => provider.generateDataKey(context)]) {
      expect(await thrownBy(call)).toBeKmsError("PROVIDER_DENIED", "denies access");
    }
    await provider.close();
  });

  it("under another key", async () => {
    const another = kms.createKey();
    expect(await thrownBy(() => openOn([kms], another.arn))).toBeKmsError("PROVIDER_DENIED", "denies access");
  });
});

it("with the store's own id in it denies the question that must be refused, so that the service does not start", async () => {
  const file = newFile();
  const service = await startService(settings(file));
  await service.stop();
  const storeId = kms.log.findLast(({ operation }) => operation === "Encrypt")!.context.store_id!;
  const narrow = structuredClone(policy);
  narrow.Statement.find(({ Condition }) => Condition?.StringLike?.["kms:EncryptionContext:store_id"])!.Condition!
    .StringEquals!["kms:EncryptionContext:store_id"] = storeId;
  kms.deny((request) => !allows(narrow, request));
  expect(await thrownBy(() => startService(settings(file)))).toBeKmsError("PROVIDER_DENIED", "denies access");
  kms.deny((request) => !allows(policy, request));
});
