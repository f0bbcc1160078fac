/** What Google answers, as our code and gRPC status, and whether it is asked again; and what an operator is told. */
import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { crc32c } from "../../../src/encoding/crc32c.ts";
import { type KmsError, type KmsErrorCode, RpcCode, rpcCode } from "../../../src/errors.ts";
import { dependable } from "../../../src/provider/failover.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { realTime } from "../../../src/runtime/time.ts";
import type { Fault, GcpKmsFake } from "../../fakes/gcp-kms.ts";
import { type FakeKey, failed } from "../../fakes/gcp-kms-rules.ts";
import { thrownBy } from "../../support/matchers.ts";
import { context, open, openedOnFake, startFake, useMetadataServer } from "../../support/gcp-fixture.ts";

useMetadataServer();

type Operation = "encrypt" | "decrypt";

interface Row {
  what: string;
  operation?: Operation;
  answer: Fault;
  code: KmsErrorCode;
  status: RpcCode;
  isRetried: boolean;
  /** Part of what the caller is told. */
  says: string;
  /** Part of what the operator is told. */
  advice?: string;
}

const keyName = "projects/audit-1/locations/europe-west1/keyRings/kms/cryptoKeys/fluo";
const place = "--keyring=kms --location=europe-west1 --project=audit-1";
const html = "<html><body>Secret-looking words</body></html>";

const rejected = {
  code: "CIPHERTEXT_REJECTED",
  status: RpcCode.INVALID_ARGUMENT,
  isRetried: false,
  says: "ciphertext rejected",
} as const;
const denied = { code: "PROVIDER_DENIED", status: RpcCode.FAILED_PRECONDITION, isRetried: false } as const;
const unavailable = { code: "PROVIDER_UNAVAILABLE", status: RpcCode.UNAVAILABLE, isRetried: true } as const;
const cannot = { ...unavailable, says: "cannot answer now" };
const unreadable = { ...unavailable, says: "cannot be read" };
const untrusted = { ...unavailable, says: "not to be trusted" };
/** What no honest provider answers. */
const lie = { ...denied, says: "not to be trusted", advice: "the provider is not to be trusted" };

const reason = (name: string, metadata: object = {}) => ({
  "@type": "type.googleapis.com/google.rpc.ErrorInfo",
  reason: name,
  domain: "googleapis.com",
  metadata,
});
const violation = (type: string, subject = `${keyName}/cryptoKeyVersions/7`) => ({
  "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
  violations: [{ type, subject }],
});
const inState = (state: string) =>
  failed(400, "FAILED_PRECONDITION", `${keyName}/cryptoKeyVersions/7 is not enabled, current state is: ${state}.`);

const rows: Row[] = [
  {
    what: "a ciphertext that is not whole",
    answer: failed(400, "INVALID_ARGUMENT", "Decryption failed: the ciphertext is invalid."),
    ...rejected,
  },
  {
    what: "a ciphertext of another key",
    answer: failed(400, "INVALID_ARGUMENT", "Decryption failed: verify that 'name' refers to the correct CryptoKey."),
    ...rejected,
  },
  {
    what: "a request that was changed on its way",
    answer: failed(
      400,
      "INVALID_ARGUMENT",
      "The checksum in field ciphertext_crc32c did not match the data in field ciphertext.",
    ),
    ...unavailable,
    says: "did not get the request whole",
  },
  {
    what: "a request that a front end does not take",
    answer: failed(400, "INVALID_ARGUMENT", "API key not valid.", [reason("API_KEY_INVALID")]),
    ...denied,
    says: "does not take the request",
    advice: `gcloud kms keys describe fluo ${place}`,
  },
  {
    what: "a request that is malformed",
    operation: "encrypt",
    answer: failed(400, "INVALID_ARGUMENT", "Invalid JSON payload received."),
    ...denied,
    says: "does not take the request",
  },
  {
    what: "a version that is disabled",
    answer: failed(400, "FAILED_PRECONDITION", "Words to come.", [violation("KEY_DISABLED")]),
    ...denied,
    says: "version of its key disabled",
    advice: `gcloud kms keys versions enable 7 --key=fluo ${place}`,
  },
  {
    what: "a version that is disabled, in words alone",
    answer: inState("DISABLED"),
    ...denied,
    says: "version of its key disabled",
    advice: `gcloud kms keys versions enable 7 --key=fluo ${place}`,
  },
  {
    what: "a version that is to be destroyed",
    operation: "encrypt",
    answer: inState("DESTROY_SCHEDULED"),
    ...denied,
    says: "about to destroy",
    advice: `gcloud kms keys versions restore 7 --key=fluo ${place} && gcloud kms keys versions enable 7 --key=fluo ${place}`,
  },
  {
    what: "a version that is destroyed",
    answer: inState("DESTROYED"),
    ...denied,
    says: "has destroyed",
    advice: `gcloud kms keys versions create --key=fluo --primary ${place}`,
  },
  { what: "a version that is being made", answer: inState("PENDING_IMPORT"), ...unavailable, says: "still making" },
  {
    what: "a version whose import failed",
    answer: inState("IMPORT_FAILED"),
    ...denied,
    says: "state that forbids its use",
    advice: `gcloud kms keys versions list --key=fluo ${place}`,
  },
  {
    what: "a key without a primary version",
    operation: "encrypt",
    answer: failed(400, "FAILED_PRECONDITION", `${keyName} has no primary version.`),
    ...denied,
    says: "no primary version",
    advice: `gcloud kms keys set-primary-version fluo --version=VERSION ${place}`,
  },
  {
    what: "an external key that is denied",
    answer: failed(400, "FAILED_PRECONDITION", "The external key manager denied access to the external key."),
    ...denied,
    says: "denied its key by the external key manager",
    advice: "https://cloud.google.com/kms/docs/reference/ekm_errors",
  },
  {
    what: "an external key manager that is away",
    answer: failed(400, "FAILED_PRECONDITION", "Could not reach the EKM: connection timed out."),
    ...unavailable,
    says: "no answer from the external key manager",
  },
  {
    what: "no permission, or no key",
    answer: failed(
      403,
      "PERMISSION_DENIED",
      `Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource '${keyName}' (or it may not exist).`,
    ),
    ...denied,
    says: "denies access to its key, or there is none",
    advice: `gcloud kms keys add-iam-policy-binding fluo --member=serviceAccount:SERVICE_ACCOUNT_EMAIL --role=roles/cloudkms.cryptoKeyEncrypterDecrypter ${place}`,
  },
  {
    what: "an API that is off",
    answer: failed(403, "PERMISSION_DENIED", "Cloud Key Management Service (KMS) API has not been used.", [
      reason("SERVICE_DISABLED", { consumer: "projects/123456789", service: "cloudkms.googleapis.com" }),
    ]),
    ...denied,
    says: "API turned off",
    advice: "gcloud services enable cloudkms.googleapis.com --project=123456789",
  },
  {
    what: "billing that is off",
    answer: failed(403, "PERMISSION_DENIED", "This API method requires billing to be enabled.", [
      reason("BILLING_DISABLED"),
    ]),
    ...denied,
    says: "billing turned off",
    advice: "gcloud billing projects link audit-1 --billing-account=ACCOUNT_ID",
  },
  {
    what: "a perimeter",
    answer: failed(
      403,
      "PERMISSION_DENIED",
      "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: abc",
      [violation("VPC_SERVICE_CONTROLS", "abc")],
    ),
    ...denied,
    says: "closed to this service by VPC Service Controls",
    advice: "vpcServiceControlsUniqueIdentifier",
  },
  {
    what: "a token of too narrow a scope",
    answer: failed(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.", [
      reason("ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    ]),
    ...denied,
    says: "out of this token's scope",
    advice: "gcloud compute instances set-service-account INSTANCE --zone=ZONE --scopes=cloud-platform",
  },
  {
    what: "a quota project that is not allowed",
    answer: failed(403, "PERMISSION_DENIED", "Caller does not have required permission.", [
      reason("USER_PROJECT_DENIED"),
    ]),
    ...denied,
    says: "quota project",
    advice: "--role=roles/serviceusage.serviceUsageConsumer",
  },
  {
    what: "a key that does not exist",
    answer: failed(404, "NOT_FOUND", `CryptoKey ${keyName} not found.`),
    ...denied,
    says: "no such key",
    advice: `gcloud kms keys list ${place}`,
  },
  {
    what: "a quota that is used up",
    answer: {
      ...failed(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Cryptographic requests'.", [
        reason("RATE_LIMIT_EXCEEDED"),
      ]),
      headers: { "retry-after": "30" },
    },
    ...unavailable,
    says: "throttles this project's calls",
    advice: "IAM & Admin > Quotas",
  },
  { what: "no server for it", answer: failed(503, "UNAVAILABLE", "The service is currently unavailable."), ...cannot },
  { what: "a failure inside", answer: failed(500, "INTERNAL", "Internal error encountered."), ...cannot },
  { what: "a failure without a name", answer: failed(500, "UNKNOWN", "Unknown."), ...cannot },
  { what: "no answer in Google's time", answer: failed(504, "DEADLINE_EXCEEDED", "Deadline expired."), ...cannot },
  { what: "a call that was lost to another", answer: failed(409, "ABORTED", "Aborted."), ...cannot },
  {
    what: "a call that was cancelled there",
    answer: failed(499, "CANCELLED", "The operation was cancelled."),
    ...cannot,
  },
  { what: "a 5xx by the name of a refusal", answer: failed(503, "PERMISSION_DENIED", "Denied."), ...cannot },
  { what: "an error that is not known", answer: failed(418, "BRAND_NEW", "New."), ...cannot },
  { what: "an empty 502", answer: { status: 502, body: "" }, ...unreadable },
  { what: "an HTML page with 503", answer: { status: 503, body: html }, ...unreadable },
  { what: "an HTML page with 403", answer: { status: 403, body: html }, ...unreadable },
  { what: "an HTML page with 404", answer: { status: 404, body: html }, ...unreadable },
  { what: "an HTML page with 401", answer: { status: 401, body: html }, ...unreadable },
  { what: "an HTML page with 200", answer: { status: 200, body: html }, ...untrusted },
  { what: "an HTML page to an encrypt", operation: "encrypt", answer: { status: 200, body: html }, ...untrusted },
  { what: "no content", answer: { status: 204 }, ...unreadable },
  {
    what: "a redirect",
    answer: { status: 302, headers: { location: "http://127.0.0.1:9/v1/x" }, body: "" },
    ...unavailable,
    says: "sends this service elsewhere",
    advice: "gcp.kms.endpoint",
  },
  { what: "half an answer", answer: { status: 200, body: '{"plaintext": "c2VjcmV0' }, ...untrusted },
  { what: "an empty object", answer: { status: 200, body: {} }, ...untrusted },
  { what: "an empty object to an encrypt", operation: "encrypt", answer: { status: 200, body: {} }, ...untrusted },
  { what: "a list to an encrypt", operation: "encrypt", answer: { status: 200, body: [] }, ...untrusted },
  { what: "a connection reset", answer: "reset", ...unavailable, says: "did not answer (ECONNRESET)" },
  {
    what: "a plaintext elsewhere",
    answer: { status: 200, body: `{"x":{"plaintext":"AAAA"},"plaintextCrc32c":"${crc32c(Buffer.alloc(3))}"}` },
    ...untrusted,
  },
  {
    what: "two plaintexts",
    answer: {
      status: 200,
      body: `{"plaintext":"AAAA","plaintext":"BBBB","plaintextCrc32c":"${crc32c(Buffer.alloc(3))}"}`,
    },
    ...untrusted,
  },
  { what: "no plaintext", answer: { change: { plaintext: undefined } }, ...untrusted },
  { what: "an empty plaintext", answer: { change: { plaintext: "", plaintextCrc32c: "0" } }, ...untrusted },
  { what: "a plaintext that is no base64", answer: { change: { plaintext: "????" } }, ...untrusted },
  { what: "a plaintext of another spelling", answer: { change: { plaintext: "AB==" } }, ...untrusted },
  { what: "a plaintext that is a number", answer: { change: { plaintext: 5 } }, ...untrusted },
  { what: "a plaintext that was changed", answer: { change: { plaintext: "AAAA" } }, ...untrusted },
  { what: "a plaintext with another's checksum", answer: { change: { plaintextCrc32c: "1" } }, ...untrusted },
  { what: "a plaintext without a checksum", answer: { change: { plaintextCrc32c: undefined } }, ...untrusted },
  {
    what: "a plaintext that nobody could have wrapped",
    answer: {
      change: {
        plaintext: Buffer.alloc(4097).toString("base64"),
        plaintextCrc32c: String(crc32c(Buffer.alloc(4097))),
      },
    },
    ...untrusted,
  },
  {
    what: "an encryption under another key",
    operation: "encrypt",
    answer: { change: { name: `${keyName}-2/cryptoKeyVersions/1` } },
    ...lie,
  },
  {
    what: "an encryption in another project",
    operation: "encrypt",
    answer: { change: { name: `${keyName.replace("audit-1", "audit-2")}/cryptoKeyVersions/1` } },
    ...lie,
  },
  { what: "an encryption under no version", operation: "encrypt", answer: { change: { name: keyName } }, ...untrusted },
  { what: "an encryption to nothing", operation: "encrypt", answer: { change: { ciphertext: "" } }, ...untrusted },
  {
    what: "an encryption that was changed",
    operation: "encrypt",
    answer: { change: { ciphertext: randomBytes(96).toString("base64") } },
    ...untrusted,
  },
  {
    what: "an encryption without a checksum",
    operation: "encrypt",
    answer: { change: { ciphertextCrc32c: undefined } },
    ...untrusted,
  },
  {
    what: "an encryption that is too long",
    operation: "encrypt",
    answer: {
      change: {
        ciphertext: Buffer.alloc(8192).toString("base64"),
        ciphertextCrc32c: String(crc32c(Buffer.alloc(8192))),
      },
    },
    ...untrusted,
  },
  {
    what: "a plaintext that was not checked",
    operation: "encrypt",
    answer: { change: { verifiedPlaintextCrc32c: false } },
    ...untrusted,
  },
  {
    what: "a context that was not checked",
    operation: "encrypt",
    answer: { change: { verifiedAdditionalAuthenticatedDataCrc32c: undefined } },
    ...untrusted,
  },
  {
    what: "a plaintext that arrived as another",
    operation: "encrypt",
    answer: { request: (body) => ({ ...body, plaintext: "AAAA" }) },
    ...unavailable,
    says: "did not get the request whole",
  },
  {
    what: "a context that arrived as another",
    operation: "encrypt",
    answer: { request: (body) => ({ ...body, additionalAuthenticatedData: "AAAA" }) },
    ...unavailable,
    says: "did not get the request whole",
  },
  {
    what: "a ciphertext that arrived as another",
    answer: { request: (body) => ({ ...body, ciphertext: "AAAA" }) },
    ...unavailable,
    says: "did not get the request whole",
  },
];

describe("Google answers with", () => {
  let kms: GcpKmsFake;
  let provider: Provider;
  let resilient: Provider;
  let wrapped: Uint8Array;
  beforeAll(async () => {
    kms = await startFake();
    const key = kms.createKey();
    expect(key.name).toBe(keyName);
    provider = await open(kms, key);
    const quick = { time: realTime, firstPauseMs: 1, maxPauseMs: 1, breakAfter: 1_000, retryBudget: 1_000 };
    resilient = dependable([await open(kms, key)], quick);
    ({ wrapped } = await provider.generateDataKey(context));
  });

  const calls: Record<Operation, (to: Provider) => Promise<unknown>> = {
    encrypt: (to) => to.encrypt(randomBytes(32), context),
    decrypt: (to) => to.decrypt(wrapped, context),
  };
  const path: Record<Operation, RegExp> = { encrypt: /:encrypt$/, decrypt: /:decrypt$/ };

  it.each(rows.map((row) => ({ operation: "decrypt" as Operation, ...row })))(
    "$what ($operation): $code, status $status, retried: $isRetried",
    async ({ operation, answer, code, status, isRetried, says, advice = "" }) => {
      const call = calls[operation];
      const tokens = kms.count(/token/);
      kms.once(path[operation], answer);
      const started = kms.count(path[operation]);
      const error = (await thrownBy(() => call(provider))) as KmsError;
      expect(error).toBeKmsError(code, says);
      expect(error.advice ?? "").toContain(advice);
      expect(rpcCode[code]).toBe(status);
      expect(kms.count(path[operation]) - started).toBe(1); // nothing below our own layer asks again
      expect(inspect(error, { depth: 9 })).not.toMatch(/Secret-looking|c2VjcmV0/);

      kms.once(path[operation], answer);
      if (isRetried) await call(resilient);
      else expect(await thrownBy(() => call(resilient))).toBeKmsError(code, says);
      expect(kms.count(path[operation]) - started).toBe(isRetried ? 3 : 2);
      expect(kms.count(/token/)).toBe(tokens); // nothing of this is a reason for another token
    },
  );

  it("words that stay out of what a caller is told, and are kept for the log", async () => {
    kms.once(path.decrypt, {
      ...failed(429, "RESOURCE_EXHAUSTED", "Quota exceeded.\nmore", [reason("RATE_LIMIT_EXCEEDED")]),
      headers: { "retry-after": "30" },
    });
    const error = (await thrownBy(() => provider.decrypt(wrapped, context))) as KmsError;
    expect(error.message).toBe("provider gcp throttles this project's calls");
    expect((error.cause as Error).message).toBe(
      "Cloud KMS answered 429, to be asked again after 30 s: RATE_LIMIT_EXCEEDED: Quota exceeded. more",
    );
  });

  it("a description that is not of this key, or tells no state: no answer, and no refusal of the key", async () => {
    const primary = { name: `${keyName}/cryptoKeyVersions/1`, state: "ENABLED", protectionLevel: "SOFTWARE" };
    for (const change of [
      { name: `${keyName}-2` },
      { name: undefined },
      { name: `${keyName}/cryptoKeyVersions/1` },
      { purpose: undefined },
      { purpose: "<b>" },
      { rotationPeriod: "soon" },
      { primary: { ...primary, state: undefined } },
      { primary: { ...primary, state: { ENABLED: true } } },
      { primary: { ...primary, name: `${keyName}-2/cryptoKeyVersions/1` } },
      { primary: { ...primary, protectionLevel: 1 } },
      { primary: [] },
    ]) {
      for (const look of [() => provider.describe(), () => provider.inspect()]) {
        kms.once(/\/fluo$/, { change });
        expect(await thrownBy(look)).toBeKmsError("PROVIDER_UNAVAILABLE", "not to be trusted");
      }
    }
    kms.once(/\/fluo$/, { change: { primary } });
    expect((await provider.describe()).state).toBe("enabled");
  });

  it("a project by its number, where the setting has its id", async () => {
    const numbered = keyName.replace("audit-1", "123456789012");
    kms.once(/\/fluo$/, { change: { name: numbered } });
    expect((await provider.describe()).state).toBe("enabled");
    kms.once(path.encrypt, { change: { name: `${numbered}/cryptoKeyVersions/1` } });
    await provider.generateDataKey(context);
  });
});

it("is not misled by a key whose name is another answer's word", async () => {
  const kms = await startFake();
  const name = "projects/audit-1/locations/europe-west1/keyRings/EKM/cryptoKeys/checksum";
  const key = kms.createKey({ name });
  const provider = await open(kms, key);
  const { wrapped } = await provider.generateDataKey(context);
  kms.once(/:decrypt$/, failed(400, "INVALID_ARGUMENT", `Decryption failed for ${name}`));
  expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("CIPHERTEXT_REJECTED");
  kms.once(/:decrypt$/, failed(400, "FAILED_PRECONDITION", `${name}/cryptoKeyVersions/1 rests.`));
  expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError(
    "PROVIDER_DENIED",
    "state that forbids",
  );
  key.versions.get(1)!.state = "DISABLED";
  expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("PROVIDER_DENIED", "disabled");
  kms.denied.add("cloudkms.cryptoKeyVersions.useToDecrypt");
  expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("PROVIDER_DENIED", "denies access");
});

describe("a key's primary version", () => {
  const states: [state: string, code: KmsErrorCode | undefined, detail: string, advice: string | undefined][] = [
    ["ENABLED", undefined, "ENABLED (version 1, SOFTWARE)", undefined],
    ["DISABLED", "PROVIDER_DENIED", "DISABLED (version 1, SOFTWARE)", "versions enable 1"],
    [
      "DESTROY_SCHEDULED",
      "PROVIDER_DENIED",
      "DESTROY_SCHEDULED (version 1, SOFTWARE), to be destroyed on 2026-12-24T00:00:00.000Z",
      "versions restore 1",
    ],
    ["DESTROYED", "PROVIDER_DENIED", "DESTROYED (version 1, SOFTWARE)", "versions create --key=fluo --primary"],
    ["PENDING_GENERATION", "PROVIDER_UNAVAILABLE", "PENDING_GENERATION (version 1, SOFTWARE)", "versions list"],
    ["BRAND_NEW", "PROVIDER_DENIED", "BRAND_NEW (version 1, SOFTWARE)", "versions list"],
  ];

  it.each(states)("%s", async (state, code, detail, told) => {
    const { key, provider } = await openedOnFake();
    Object.assign(key.versions.get(1)!, { state, destroyTime: "2026-12-24T00:00:00Z" });
    const report = await provider.inspect();
    expect(report).toMatchObject({ state: code === undefined ? "enabled" : "disabled", detail });
    expect(report.advice).toEqual(told === undefined ? [] : [expect.stringContaining(`gcloud kms keys ${told}`)]);
    if (code === undefined) return void (await provider.generateDataKey(context));
    const error = (await thrownBy(() => provider.generateDataKey(context))) as KmsError;
    expect(error).toBeKmsError(code);
    expect(error.advice).toContain(`gcloud kms keys ${told}`);
  });

  it("that is not there", async () => {
    const { key, provider } = await openedOnFake();
    key.primary = undefined;
    const report = await provider.inspect();
    expect(report).toMatchObject({ state: "disabled", detail: "without a primary version" });
    expect(report.advice).toEqual([expect.stringContaining("gcloud kms keys set-primary-version fluo")]);
    expect(await thrownBy(() => provider.generateDataKey(context))).toBeKmsError("PROVIDER_DENIED", "no primary");
  });
});

describe("rotation", () => {
  it.each<[Partial<FakeKey> & { protectionLevel?: string }, string, RegExp | undefined]>([
    [{ rotationPeriod: "7776000s" }, "every 90 days", undefined],
    [{ rotationPeriod: "129600.500s" }, "every 36 hours", undefined],
    [
      { rotationPeriod: undefined },
      "off",
      /: gcloud kms keys update fluo --rotation-period=90d --next-rotation-time=20\d\d-\d\d-\d\dT[\d:.]+Z --keyring=kms/,
    ],
    [{ rotationPeriod: undefined, importOnly: true }, "off: its key material is imported", undefined],
    [
      { rotationPeriod: undefined, protectionLevel: "EXTERNAL" },
      "off: its key material is in an external key manager",
      undefined,
    ],
    [{ protectionLevel: "HSM" }, "every 90 days", undefined],
  ])("of %j is told as %s", async (over, rotation, advice) => {
    const { provider } = await openedOnFake(over);
    expect(await provider.inspect()).toMatchObject({
      state: "enabled",
      rotation,
      advice: [],
      ...(advice !== undefined && { rotationAdvice: expect.stringMatching(advice) }),
    });
  });
});

describe("the advice", () => {
  it.each<[string, (provider: Provider, wrapped: Uint8Array) => Promise<unknown>]>([
    ["cloudkms.cryptoKeyVersions.useToEncrypt", (provider) => provider.generateDataKey(context)],
    ["cloudkms.cryptoKeyVersions.useToDecrypt", (provider, wrapped) => provider.decrypt(wrapped, context)],
    ["cloudkms.cryptoKeys.get", (provider) => provider.describe()],
  ])("without %s is to give the two roles", async (permission, call) => {
    const { kms, provider } = await openedOnFake();
    const { wrapped } = await provider.generateDataKey(context);
    kms.denied.add(permission);
    const error = (await thrownBy(() => call(provider, wrapped))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "denies access");
    for (const role of ["cryptoKeyEncrypterDecrypter", "viewer"]) {
      expect(error.advice).toContain(`--role=roles/cloudkms.${role} ${place}`);
    }
    expect(String(error.cause)).toContain(permission);
  });
});
