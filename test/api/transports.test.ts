/** What each of the four ways in carries; what it is told of failures is in matrix/. */
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { VerifyReason } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { getJson, plainSpan, postRpc } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

type Calls = Omit<Client<typeof KmsService>, "signSpans">;

const ways: [string, () => Calls][] = [
  ["gRPC", () => kms.grpc as unknown as Calls],
  ["Connect in binary", () => kms.connect],
  [
    "Connect in JSON",
    () =>
      createClient(
        KmsService,
        createConnectTransport({ baseUrl: kms.url, httpVersion: "1.1", useBinaryFormat: false }),
      ),
  ],
  ["gRPC-Web", () => createClient(KmsService, createGrpcWebTransport({ baseUrl: kms.url, httpVersion: "1.1" }))],
];

describe.each(ways)("over %s", (way, client) => {
  const tenantId = way.toLowerCase().replaceAll(/[^a-z]/g, "-");
  const encryptionContext = { purpose: "test" };
  const value = Buffer.from("ada@example.org");

  it("a data key is made and opened", async () => {
    const made = await client().generateDataKey({ tenantId, encryptionContext });
    expect(made.plaintext).toHaveLength(32);
    const opened = await client().decryptDataKey({
      tenantId,
      ciphertextBlob: made.ciphertextBlob,
      encryptionContext,
    });
    expect(opened).toMatchObject({ keyId: made.keyId, plaintext: made.plaintext });
  });

  it("PII is encrypted, re-encrypted and decrypted", async () => {
    const sealed = await client().encryptPii({ tenantId, fields: [{ name: "email", value }], encryptionContext });
    const again = await client().reEncryptPii({ tenantId, fields: sealed.fields, encryptionContext });
    expect(again.fields[0]!.result).toMatchObject({ case: "token" });
    const token = again.fields[0]!.result.value as string;
    expect(token).not.toBe(sealed.fields[0]!.token);
    const opened = await client().decryptPii({ tenantId, fields: [{ name: "email", token }], encryptionContext });
    expect(opened.fields[0]!.result.case).toBe("value");
    expect(Buffer.from(opened.fields[0]!.result.value as Uint8Array)).toEqual(value);
  });

  it("a span is signed and verified, and a public key is given", async () => {
    const signed = await client().signSpan({ tenantId, span: plainSpan });
    expect(signed.signature).toHaveLength(64);
    const span = { ...plainSpan, attributes: signed.attributes };
    const verdict = await client().verifySpan({ tenantId, span });
    expect(verdict).toMatchObject({ verified: true, reason: VerifyReason.OK, keyId: signed.keyId });
    const { keys } = await client().getPublicKeys({ tenantId });
    expect(keys.map(({ keyId }) => keyId)).toEqual([signed.keyId]);
  });
});

describe("plain JSON", () => {
  const tenant = { tenant_id: "curl" };

  it("serves every rpc under the proto's names, and answers in JSON's", async () => {
    const key = await postRpc(kms.url, "GenerateDataKey", { ...tenant, key_spec: "KEY_SPEC_AES_128" });
    expect(key.status).toBe(200);
    expect(Buffer.from(key.body.plaintext, "base64")).toHaveLength(16);
    const opened = await postRpc(kms.url, "DecryptDataKey", {
      ...tenant,
      ciphertext_blob: key.body.ciphertextBlob,
    });
    expect(opened.body).toEqual({ plaintext: key.body.plaintext, keyId: key.body.keyId });

    const value = Buffer.from("ada").toString("base64");
    const sealed = await postRpc(kms.url, "EncryptPii", { ...tenant, fields: [{ name: "email", value }] });
    const again = await postRpc(kms.url, "ReEncryptPii", { ...tenant, fields: sealed.body.fields });
    const plain = await postRpc(kms.url, "DecryptPii", { ...tenant, fields: again.body.fields });
    expect(plain.body).toEqual({ fields: [{ name: "email", value }] });

    const span = {
      trace_id: Buffer.from(plainSpan.traceId).toString("base64"),
      span_id: Buffer.from(plainSpan.spanId).toString("base64"),
    };
    const signed = await postRpc(kms.url, "SignSpan", { ...tenant, span });
    const verdict = await postRpc(kms.url, "VerifySpan", {
      ...tenant,
      span: { ...span, attributes: signed.body.attributes },
    });
    expect(verdict.body).toMatchObject({ verified: true, reason: "VERIFY_REASON_OK" });
    expect((await postRpc(kms.url, "GetPublicKeys", tenant)).body.keys).toHaveLength(1);
    expect((await postRpc(kms.url, "Rotate", { ...tenant, force: true })).body.rotated).toHaveLength(2);
    expect((await postRpc(kms.url, "Validate", {})).body.overall).toBe("OUTCOME_PASS");
    expect((await postRpc(kms.url, "Status", {})).body.status).toBe("HEALTH_OPERATIONAL");
  });
});

describe("Connect by GET", () => {
  const get = (method: string, message: object) =>
    fetch(
      `${kms.url}/${KmsService.typeName}/${method}?connect=v1&encoding=json&message=${encodeURIComponent(JSON.stringify(message))}`,
    );

  it("serves Status and GetPublicKeys", async () => {
    expect((await getJson((await get("Status", {})).url)).body).toMatchObject({ provider: "local" });
    const response = await get("GetPublicKeys", { tenantId: "nobody" });
    expect([response.status, await response.json()]).toEqual([200, {}]);
  });

  it.each(["GenerateDataKey", "DecryptPii", "SignSpan", "Rotate", "Validate"])("refuses %s", async (method) => {
    expect((await get(method, { tenantId: "by-get" })).status).toBe(405);
  });
});

it("SignSpans is refused by a client of Connect's, and counted", async () => {
  const client = createClient(KmsService, createConnectTransport({ baseUrl: kms.url, httpVersion: "1.1" }));
  const one = async function* () {
    yield {};
  };
  const failure = await client.signSpans(one())[Symbol.asyncIterator]().next().catch(ConnectError.from);
  expect(failure).toMatchObject({ code: Code.Unimplemented });
  const metrics = await (await fetch(`${kms.url}/q/metrics`)).text();
  expect(metrics).toMatch(/kms_errors_total\{operation="SignSpans",code="UNIMPLEMENTED"\} [1-9]/);
});

describe("a method that does not exist", () => {
  it("is UNIMPLEMENTED on gRPC and not found over HTTP", async () => {
    const client = new grpc.Client(`127.0.0.1:${kms.grpcPort}`, grpc.credentials.createInsecure());
    const pass = (bytes: Uint8Array) => Buffer.from(bytes);
    const error = await new Promise<grpc.ServiceError | null>((resolve) =>
      client.makeUnaryRequest(`/${KmsService.typeName}/Nothing`, pass, pass, Buffer.of(), resolve),
    );
    client.close();
    expect(error?.code).toBe(grpc.status.UNIMPLEMENTED);
    const response = await fetch(`${kms.url}/${KmsService.typeName}/Nothing`, { method: "POST", body: "{}" });
    expect(response.status).toBe(404);
  });
});
