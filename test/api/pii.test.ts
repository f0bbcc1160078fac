import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningService, startService } from "../support/running-service.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

const value = Buffer.from("ada@example.org");
const encryptionContext = { purpose: "support" };

async function encrypt(tenantId: string, name = "email"): Promise<string> {
  const { fields } = await kms.grpc.encryptPii({ tenantId, fields: [{ name, value }], encryptionContext });
  return fields[0]!.token;
}

async function open(
  tenantId: string,
  name: string,
  token: string,
  context: Record<string, string> = encryptionContext,
) {
  const { fields } = await kms.grpc.decryptPii({ tenantId, fields: [{ name, token }], encryptionContext: context });
  return fields[0]!.result;
}

const rejected = {
  case: "error",
  value: { code: grpc.status.INVALID_ARGUMENT, field: "fields[0].token", message: "ciphertext rejected" },
};

describe("EncryptPii and DecryptPii", () => {
  it("open after three rotations what was encrypted before", async () => {
    const token = await encrypt("rotated");
    const keyIds = new Set<string>();
    for (let round = 0; round < 3; round++) {
      const { rotated } = await kms.grpc.rotate({ tenantId: "rotated", force: true });
      keyIds.add(rotated[0]!.key!.keyId);
    }
    expect(keyIds.size).toBe(3);
    expect(await open("rotated", "email", token)).toMatchObject({ case: "value", value });
  });

  it.each([
    ["another field", "acme", "phone", encryptionContext],
    ["another tenant", "umbrella", "email", encryptionContext],
    ["another context", "acme", "email", { purpose: "marketing" }],
    ["a smaller context", "acme", "email", {}],
    ["a larger context", "acme", "email", { ...encryptionContext, more: "1" }],
  ])("refuse a token moved to %s", async (_what, tenantId, name, context) => {
    const token = await encrypt("acme");
    await encrypt("umbrella");
    expect(await open(tenantId, name, token, context)).toMatchObject(rejected);
  });
});
