/** RewrapKeys as its callers see it: from one key file to another, over gRPC and Connect. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { failureOf, type RunningService, startService } from "../support/running-service.ts";
import { connectFailureOf, plainSpan } from "../support/api-fixture.ts";

const dir = mkdtempSync(join(tmpdir(), "fluo-kms-rewrap-"));
const [oldFile, newFile] = ["old.key", "new.key"].map((name) => join(dir, name)) as [string, string];
const value = Buffer.from("ann@example.com");
const tenants = Array.from({ length: 7 }, (_, n) => `tenant-${n}`);

function settings(current: string, other?: string): Record<string, string> {
  const names = { "fluo.kms.sqlite.file": join(dir, "kms.db"), "fluo.kms.local.master-key-file": current };
  if (other === undefined) return names;
  return { ...names, "fluo.kms.other.provider": "local", "fluo.kms.other.local.master-key-file": other };
}

let kms: RunningService;
let oldKeyId: string;
const made: { tenantId: string; fields: { name: string; token: string }[]; attributes: unknown[] }[] = [];

beforeAll(async () => {
  const before = await startService(settings(oldFile));
  for (const tenantId of tenants) {
    const { fields } = await before.grpc.encryptPii({ tenantId, fields: [{ name: "email", value }] });
    const { attributes } = await before.grpc.signSpan({ tenantId, span: plainSpan });
    made.push({ tenantId, fields, attributes });
  }
  oldKeyId = (await before.grpc.admin.listKeys({})).keys[0]!.providerKeyId;
  await before.stop();
  kms = await startService(settings(newFile, oldFile));
});
afterAll(async () => {
  await kms.stop();
  rmSync(dir, { recursive: true });
});

async function providerKeys(): Promise<string[]> {
  return (await kms.grpc.admin.listKeys({})).keys.map(({ providerKeyId }) => providerKeyId);
}

async function notices(): Promise<string> {
  return (await kms.grpc.status({})).notices.join("\n");
}

/** Each step begins where the one before it ended. */
describe("RewrapKeys", { shuffle: false }, () => {
  it("is called for by Status", async () => {
    const said = await notices();
    expect(said).toContain(`14 keys are still under local ${oldKeyId}: run fluo-kms rewrap.`);
    expect(said).toContain(`The store key is still under local ${oldKeyId}`);
  });

  it("refuses a page of too many, a bad request id and a token of its own making", async () => {
    const refused = async (request: object) => failureOf(kms.grpc.admin.rewrapKeys(request));
    expect(await refused({ pageSize: 1001 })).toMatchObject({ code: status.INVALID_ARGUMENT, fields: ["page_size"] });
    expect(await refused({ requestId: "a b" })).toMatchObject({
      code: status.INVALID_ARGUMENT,
      fields: ["request_id"],
    });
    expect(await refused({ pageToken: "x" })).toMatchObject({ code: status.INVALID_ARGUMENT, fields: ["page_token"] });
    const failure = await connectFailureOf(kms.connect.admin.rewrapKeys({ pageToken: "x" }));
    expect(failure).toMatchObject({ code: Code.InvalidArgument, fields: ["page_token"] });
  });

  it("says first what it would do", async () => {
    const answer = await kms.grpc.admin.rewrapKeys({ dryRun: true });
    expect(answer).toMatchObject({ rewrapped: 14, storeKeyRewrapped: true, remaining: 15n, dryRun: true, failed: [] });
    expect(new Set(await providerKeys())).toEqual(new Set([oldKeyId]));
  });

  it("moves a page over gRPC and the rest over Connect, and keys open and sign throughout", async () => {
    const first = await kms.grpc.admin.rewrapKeys({ pageSize: 5, requestId: "ticket-7" });
    expect(first).toMatchObject({ provider: "local", rewrapped: 5, storeKeyRewrapped: true, remaining: 9n });
    expect(first.others).toMatchObject([{ provider: "local", providerKeyId: oldKeyId, keys: 9n }]);
    expect((await providerKeys()).filter((id) => id === first.providerKeyId)).toHaveLength(5);
    await everythingOpens();
    const rest = await kms.connect.admin.rewrapKeys({ pageToken: first.nextPageToken });
    expect(rest).toMatchObject({
      rewrapped: 9,
      storeKeyRewrapped: false,
      remaining: 0n,
      nextPageToken: "",
      failed: [],
    });
    expect(new Set(await providerKeys())).toEqual(new Set([first.providerKeyId]));
    await everythingOpens();
    await expect.poll(notices).not.toContain("still under");
  });

  it("is in the audit trail, which verifies", async () => {
    const { events } = await kms.grpc.admin.listAuditEvents({ pageSize: 1000 });
    const rows = events.filter(({ action, outcome }) => action === "rewrap" && outcome === "OK");
    expect(rows).toHaveLength(15);
    expect(rows[0]).toMatchObject({ tenantId: "", keyId: "", requestId: "ticket-7", actor: "anonymous" });
    expect((await kms.grpc.admin.verifyAudit({})).ok).toBe(true);
  });

  it("leaves nothing that needs the old key: a service without it opens everything", async () => {
    await kms.stop();
    kms = await startService(settings(newFile));
    await everythingOpens();
    expect(await kms.grpc.admin.rewrapKeys({})).toMatchObject({ rewrapped: 0, remaining: 0n });
  });

  it("leaves nothing to the old key: a service with that alone does not start", async () => {
    await expect(startService(settings(oldFile))).rejects.toBeKmsError("PROVIDER_DENIED", "the store is under");
  });
});

async function everythingOpens(): Promise<void> {
  for (const { tenantId, fields, attributes } of made) {
    const [field] = (await kms.grpc.decryptPii({ tenantId, fields })).fields;
    expect(field!.result).toEqual({ case: "value", value });
    const span = { ...plainSpan, attributes: attributes as never[] };
    expect(await kms.connect.verifySpan({ tenantId, span })).toMatchObject({ verified: true });
    expect((await kms.grpc.signSpan({ tenantId, span: plainSpan })).keyId).not.toBe("");
  }
}
