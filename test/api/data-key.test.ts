import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeySpec } from "../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { failureOf, type RunningService, startService } from "../support/running-service.ts";
import { setUp } from "../support/keys-fixture.ts";
import { unobserved } from "../../src/audit/observer.ts";
import { dataKeyHandlers } from "../../src/service/kms/data-key.ts";
import { kmsMethods } from "../../src/service/kms/handlers.ts";
import { auditedHandlers } from "../support/audited-handlers.ts";
import { anyone } from "../../src/transport/authenticate.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

const encryptionContext = { object: "42" };
const rejected = {
  code: grpc.status.INVALID_ARGUMENT,
  message: "ciphertext rejected",
  reason: "CIPHERTEXT_REJECTED",
  fields: [],
};

describe("GenerateDataKey", () => {
  it("gives a key of the wanted length, a fresh one each time", async () => {
    const keys = await Promise.all(
      [KeySpec.UNSPECIFIED, KeySpec.AES_256, KeySpec.AES_128].map((keySpec) =>
        kms.grpc.generateDataKey({ tenantId: "acme", keySpec }),
      ),
    );
    expect(keys.map(({ plaintext }) => plaintext.length)).toEqual([32, 32, 16]);
    expect(new Set(keys.map(({ plaintext }) => Buffer.from(plaintext).toString("hex"))).size).toBe(3);
  });

  it("leaves the plaintext out on request, and the blob opens", async () => {
    const made = await kms.grpc.generateDataKey({ tenantId: "acme", withoutPlaintext: true });
    expect(made.plaintext).toHaveLength(0);
    const opened = await kms.grpc.decryptDataKey({ tenantId: "acme", ciphertextBlob: made.ciphertextBlob });
    expect(opened.plaintext).toHaveLength(32);
  });
});

describe("DecryptDataKey", () => {
  it("opens after three rotations what was made before", async () => {
    const made = await kms.grpc.generateDataKey({ tenantId: "rotated", encryptionContext });
    for (let round = 0; round < 3; round += 1) await kms.grpc.rotate({ tenantId: "rotated", force: true });
    expect((await kms.grpc.generateDataKey({ tenantId: "rotated" })).keyId).not.toBe(made.keyId);
    const opened = await kms.grpc.decryptDataKey({
      tenantId: "rotated",
      ciphertextBlob: made.ciphertextBlob,
      encryptionContext,
    });
    expect(opened).toMatchObject({ plaintext: made.plaintext, keyId: made.keyId });
  });

  it("opens when every cached key has expired, also under a retired key", async () => {
    const { keyring, time, calls } = setUp();
    const keyTimer = { signing: <T>(get: () => T) => get(), encryption: <T>(get: () => T) => get() };
    const { generateDataKey, decryptDataKey } = auditedHandlers(
      dataKeyHandlers({ keyring, keyTimer }),
      kmsMethods,
      unobserved,
    );
    const call = { caller: anyone, signal: new AbortController().signal };
    const request = { tenantId: "acme", encryptionContext };
    const made = await generateDataKey({ ...request, keySpec: 0, withoutPlaintext: false } as never, call);
    await keyring.rotate({ tenantId: "acme", force: true });
    for (let round = 1; round <= 3; round += 1) {
      time.ms += 30 * 24 * 60 * 60 * 1000;
      keyring.dropExpired();
      expect(keyring.stats().data.size).toBe(0);
      const before = calls.decrypt;
      const opened = await decryptDataKey({ ...request, ciphertextBlob: made.ciphertextBlob } as never, call);
      expect(opened.plaintext).toEqual(made.plaintext);
      expect(calls.decrypt).toBe(before + 1);
    }
  });

  it.each([
    ["another tenant that has keys", "umbrella", encryptionContext],
    ["a tenant that has none", "nobody", encryptionContext],
    ["another context", "acme", { object: "43" }],
    ["no context", "acme", {}],
    ["a larger context", "acme", { ...encryptionContext, more: "" }],
    ["another spelling of the context", "acme", { object4: "2" }],
  ])("refuses a blob that was moved to %s", async (_what, tenantId, context) => {
    const { ciphertextBlob } = await kms.grpc.generateDataKey({ tenantId: "acme", encryptionContext });
    await kms.grpc.generateDataKey({ tenantId: "umbrella" });
    const call = kms.grpc.decryptDataKey({ tenantId, ciphertextBlob, encryptionContext: context });
    expect(await failureOf(call)).toMatchObject(rejected);
  });

  it("refuses a blob of every shorter length, one that is longer, and one with any byte changed", async () => {
    const { ciphertextBlob } = await kms.grpc.generateDataKey({ tenantId: "acme" });
    const blobs = Array.from({ length: ciphertextBlob.length }, (_, length) => ciphertextBlob.subarray(0, length));
    blobs.push(Buffer.concat([ciphertextBlob, Buffer.of(0)]));
    for (let at = 0; at < ciphertextBlob.length; at += 1) {
      const changed = Buffer.from(ciphertextBlob);
      changed[at]! ^= 1 << (at % 8);
      blobs.push(changed);
    }
    const failures = await Promise.all(
      blobs.map((blob) => failureOf(kms.grpc.decryptDataKey({ tenantId: "acme", ciphertextBlob: blob }))),
    );
    for (const failure of failures) expect(failure).toMatchObject(rejected);
  });

  it("refuses a PII token's bytes, and a blob made of a token", async () => {
    const fields = [{ name: "n", value: Buffer.alloc(32) }];
    const { fields: sealed } = await kms.grpc.encryptPii({ tenantId: "acme", fields, encryptionContext });
    const bytes = Buffer.from(sealed[0]!.token.slice("fk1.".length), "base64url");
    for (const ciphertextBlob of [bytes, Buffer.from(sealed[0]!.token)]) {
      const call = kms.grpc.decryptDataKey({ tenantId: "acme", ciphertextBlob, encryptionContext });
      expect(await failureOf(call)).toMatchObject(rejected);
    }
  });
});
