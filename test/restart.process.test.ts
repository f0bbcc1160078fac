/** What survives the end of the process, by provider and store. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { plainSpan } from "./support/api-fixture.ts";
import { type SharedPostgres, sharedPostgres } from "./support/shared-postgres.ts";
import { type GrpcClient, startService } from "./support/running-service.ts";
import { startProcess } from "./support/service-process.ts";

const tenantId = "acme";
const value = Buffer.from("ann@example.com");

let server: SharedPostgres;
beforeAll(async () => {
  server = await sharedPostgres();
});
afterAll(() => server?.close());

const stores: [name: string, environment: (dir: string) => Promise<Record<string, string>>][] = [
  ["sqlite", async (dir) => ({ FLUO_KMS_SQLITE_FILE: join(dir, "kms.db") })],
  ["postgres", async () => ({ FLUO_KMS_STORE: "postgres", FLUO_KMS_POSTGRES_URL: await server.createDatabase() })],
];

/** A client of the next life, which needs no process of its own. */
async function clientOf(env: Record<string, string>): Promise<GrpcClient> {
  const service = await startService(env);
  onTestFinished(service.stop);
  return service.grpc;
}

describe.each(stores)("with a key file and %s", (_name, environment) => {
  it.each(["SIGTERM", "SIGKILL"] as const)("tokens open and signatures verify after %s", async (signal) => {
    const dir = mkdtempSync(join(tmpdir(), "fluo-kms-restart-"));
    const env = { FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "master.key"), ...(await environment(dir)) };
    const before = await startProcess(env);
    const { fields } = await before.client.encryptPii({ tenantId, fields: [{ name: "email", value }] });
    const { attributes } = await before.client.signSpan({ tenantId, span: plainSpan });
    const dataKey = await before.client.generateDataKey({ tenantId });
    await before.client.rotate({ tenantId, force: true });
    const { keyId } = await before.client.encryptPii({ tenantId, fields: [{ name: "email", value }] });
    await before.end(signal);

    const client = await clientOf(env);
    const [field] = (await client.decryptPii({ tenantId, fields })).fields;
    expect(field!.result).toEqual({ case: "value", value });
    expect(await client.verifySpan({ tenantId, span: { ...plainSpan, attributes } })).toMatchObject({ verified: true });
    const opened = await client.decryptDataKey({ tenantId, ciphertextBlob: dataKey.ciphertextBlob });
    expect(opened.plaintext).toEqual(dataKey.plaintext);
    expect((await client.encryptPii({ tenantId, fields: [{ name: "email", value }] })).keyId).toBe(keyId);
    expect(await client.admin.verifyAudit({})).toMatchObject({ ok: true });
  });
});

describe("with everything in memory", () => {
  it("the start warns, Status says so, and an old token is refused in words", async () => {
    const before = await startProcess({});
    await before.said(/lost on restart/);
    expect((await before.client.status({})).notices.join()).toContain("lost on restart");
    const { fields } = await before.client.encryptPii({ tenantId, fields: [{ name: "email", value }] });
    await before.end("SIGTERM");
    const client = await clientOf({});
    const [field] = (await client.decryptPii({ tenantId, fields })).fields;
    const error = { code: status.INVALID_ARGUMENT, message: expect.stringMatching(/^ciphertext rejected$/) };
    expect(field!.result).toMatchObject({ case: "error", value: error });
  });
});

describe("a store that does not fit", () => {
  it("is refused at start, in one line that says why: another master key, or a store key that is gone", async () => {
    const dir = mkdtempSync(join(tmpdir(), "fluo-kms-restart-"));
    const env = {
      FLUO_KMS_SQLITE_FILE: join(dir, "kms.db"),
      FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "master.key"),
    };
    const before = await startService(env);
    await before.grpc.encryptPii({ tenantId, fields: [{ name: "email", value }] });
    await before.stop();
    const other = startService({ ...env, FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "other.key") });
    await expect(other).rejects.toThrow(/the store is under local local:[0-9a-f]{16}, and the provider is local/);
  });
});
