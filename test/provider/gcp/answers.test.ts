/** What Google answers, as our code; and what an operator is told. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { crc32c } from "../../../src/encoding/crc32c.ts";
import type { KmsError, KmsErrorCode } from "../../../src/errors.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { type Fault, metadataToken } from "../../fakes/gcp-kms.ts";
import { type FakeKey, failed } from "../../fakes/gcp-kms-rules.ts";
import { open, openedOnFake, startFake, useMetadataServer } from "../../support/gcp-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { type AnswerRow, answersOf, context, denied, halfSecret, html, unavailable, verdicts } from "../answers.ts";

useMetadataServer();

type Operation = "encrypt" | "decrypt" | "describe";

const keyName = "projects/audit-1/locations/europe-west1/keyRings/kms/cryptoKeys/fluo";
const version = `${keyName}/cryptoKeyVersions/7`;
const place = "--keyring=kms --location=europe-west1 --project=audit-1";
const versions = (command: string) => `gcloud kms keys versions ${command} --key=fluo ${place}`;

const reason = (name: string, metadata: object = {}) => ({
  "@type": "type.googleapis.com/google.rpc.ErrorInfo",
  reason: name,
  domain: "googleapis.com",
  metadata,
});
const violation = (type: string, subject = version) => ({
  "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
  violations: [{ type, subject }],
});
const invalid = (words: string, ...details: object[]) => failed(400, "INVALID_ARGUMENT", words, details);
const unmet = (words: string, ...details: object[]) => failed(400, "FAILED_PRECONDITION", words, details);
const forbidden = (words: string, ...details: object[]) => failed(403, "PERMISSION_DENIED", words, details);
const inState = (state: string) => unmet(`${version} is not enabled, current state is: ${state}.`);
const page = (status: number, body = html): Fault => ({ status, body });
const change = (change: Record<string, unknown>): Fault => ({ change });
const primary = (over: object) =>
  change({
    primary: { name: `${keyName}/cryptoKeyVersions/1`, state: "ENABLED", protectionLevel: "SOFTWARE", ...over },
  });
const plaintext = (bytes: Buffer) => ({ plaintext: bytes.toString("base64"), plaintextCrc32c: String(crc32c(bytes)) });
const tooLong = Buffer.alloc(8192);
const aaa = Buffer.alloc(3);

const { cannot, lie, rejected, unreadable, untrusted } = verdicts;
const notWhole = unavailable("did not get the request whole");
const disabled = denied("version of its key disabled", versions("enable 7"));
const throttles = unavailable("throttles this project's calls", "IAM & Admin > Quotas");

const rows: readonly AnswerRow<Fault, Operation>[] = [
  ["a ciphertext that is not whole", invalid("Decryption failed: the ciphertext is invalid."), rejected],
  ["one of another key", invalid("Decryption failed: verify that 'name' refers to the correct CryptoKey."), rejected],
  [
    "a request that was changed on its way",
    invalid("The checksum in field ciphertext_crc32c did not match the data in field ciphertext."),
    notWhole,
  ],
  [
    "a request that a front end does not take",
    invalid("API key not valid.", reason("API_KEY_INVALID")),
    denied("does not take the request", `gcloud kms keys describe fluo ${place}`),
  ],
  [
    "a request that is malformed",
    invalid("Invalid JSON payload received."),
    denied("does not take the request"),
    "encrypt",
  ],
  ["a version that is disabled", unmet("Words to come.", violation("KEY_DISABLED")), disabled],
  ["a version that is disabled, in words alone", inState("DISABLED"), disabled],
  [
    "a version that is to be destroyed",
    inState("DESTROY_SCHEDULED"),
    denied("about to destroy", `${versions("restore 7")} && ${versions("enable 7")}`),
    "encrypt",
  ],
  [
    "a version that is destroyed",
    inState("DESTROYED"),
    denied("has destroyed", `gcloud kms keys versions create --key=fluo --primary ${place}`),
  ],
  ["a version that is being made", inState("PENDING_IMPORT"), unavailable("still making", "")],
  ["a version whose import failed", inState("IMPORT_FAILED"), denied("state that forbids its use", versions("list"))],
  [
    "a key without a primary version",
    unmet(`${keyName} has no primary version.`),
    denied("no primary version", `gcloud kms keys set-primary-version fluo --version=VERSION ${place}`),
    "encrypt",
  ],
  [
    "an external key that is denied",
    unmet("The external key manager denied access to the external key."),
    denied("denied its key by the external key manager", "https://cloud.google.com/kms/docs/reference/ekm_errors"),
  ],
  [
    "an external key manager that is away",
    unmet("Could not reach the EKM: connection timed out."),
    unavailable("no answer from the external key manager", ""),
  ],
  [
    "no permission, or no key",
    forbidden(`Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource '${keyName}'.`),
    denied(
      "denies access to its key, or there is none",
      `gcloud kms keys add-iam-policy-binding fluo --member=serviceAccount:SERVICE_ACCOUNT_EMAIL --role=roles/cloudkms.cryptoKeyEncrypterDecrypter ${place}`,
    ),
  ],
  [
    "an API that is off",
    forbidden(
      "Cloud Key Management Service (KMS) API has not been used.",
      reason("SERVICE_DISABLED", { consumer: "projects/1" }),
    ),
    denied("API turned off", "gcloud services enable cloudkms.googleapis.com --project=1"),
  ],
  [
    "billing that is off",
    forbidden("This API method requires billing to be enabled.", reason("BILLING_DISABLED")),
    denied("billing turned off", "gcloud billing projects link audit-1 --billing-account=ACCOUNT_ID"),
  ],
  [
    "a perimeter",
    forbidden("Request is prohibited by organization's policy.", violation("VPC_SERVICE_CONTROLS", "abc")),
    denied("closed to this service by VPC Service Controls", "vpcServiceControlsUniqueIdentifier"),
  ],
  [
    "a token of too narrow a scope",
    forbidden("Request had insufficient authentication scopes.", reason("ACCESS_TOKEN_SCOPE_INSUFFICIENT")),
    denied(
      "out of this token's scope",
      "gcloud compute instances set-service-account INSTANCE --zone=ZONE --scopes=cloud-platform",
    ),
  ],
  [
    "a quota project that is not allowed",
    forbidden("Caller does not have required permission.", reason("USER_PROJECT_DENIED")),
    denied("quota project", "--role=roles/serviceusage.serviceUsageConsumer"),
  ],
  [
    "a key that does not exist",
    failed(404, "NOT_FOUND", `CryptoKey ${keyName} not found.`),
    denied("no such key", `gcloud kms keys list ${place}`),
  ],
  [
    "a quota that is used up",
    {
      ...failed(429, "RESOURCE_EXHAUSTED", "Quota exceeded.\nmore", [reason("RATE_LIMIT_EXCEEDED")]),
      headers: { "retry-after": "30" },
    },
    throttles,
    "decrypt",
    "Cloud KMS answered 429, to be asked again after 30 s: RATE_LIMIT_EXCEEDED: Quota exceeded. more",
  ],
  ["no server for it", failed(503, "UNAVAILABLE", "The service is currently unavailable."), cannot],
  ["a failure inside", failed(500, "INTERNAL", "Internal error encountered."), cannot],
  ["a failure without a name", failed(500, "UNKNOWN", "Unknown."), cannot],
  ["no answer in Google's time", failed(504, "DEADLINE_EXCEEDED", "Deadline expired."), cannot],
  ["a call that was lost to another", failed(409, "ABORTED", "Aborted."), cannot],
  ["a call that was cancelled there", failed(499, "CANCELLED", "The operation was cancelled."), cannot],
  ["a 5xx by the name of a refusal", failed(503, "PERMISSION_DENIED", "Denied."), cannot],
  ["an error that is not known", failed(418, "BRAND_NEW", "New."), cannot],
  ["an empty 502", page(502, ""), unreadable],
  ...[503, 403, 404, 401].map(
    (status): AnswerRow<Fault, Operation> => [`an HTML page with ${status}`, page(status), unreadable],
  ),
  ["an HTML page with 200", page(200), untrusted],
  ["an HTML page", page(200), untrusted, "encrypt"],
  ["no content", { status: 204 }, unreadable],
  ...[301, 302, 307, 308].map(
    (status): AnswerRow<Fault, Operation> => [
      `a redirect with ${status}`,
      { status, headers: { location: "/v1/elsewhere" }, body: "" },
      unavailable("sends this service elsewhere", "gcp.kms.endpoint"),
    ],
  ),
  ["half an answer", page(200, `{"plaintext": "${halfSecret}`), untrusted],
  ["an empty object", { status: 200, body: {} }, untrusted],
  ["an empty object", { status: 200, body: {} }, untrusted, "encrypt"],
  ["a list", { status: 200, body: [] }, untrusted, "encrypt"],
  ["a connection reset", "reset", unavailable("did not answer (ECONNRESET)")],
  [
    "a plaintext elsewhere",
    { status: 200, body: { x: { plaintext: "AAAA" }, plaintextCrc32c: plaintext(aaa).plaintextCrc32c } },
    untrusted,
  ],
  [
    "two plaintexts",
    page(200, `{"plaintext":"AAAA","plaintext":"BBBB","plaintextCrc32c":"${crc32c(aaa)}"}`),
    untrusted,
  ],
  ["no plaintext", change({ plaintext: undefined }), untrusted],
  ["an empty plaintext", change({ plaintext: "", plaintextCrc32c: "0" }), untrusted],
  ["a plaintext that is no base64", change({ plaintext: "????" }), untrusted],
  ["a plaintext of another spelling", change({ plaintext: "AB==" }), untrusted],
  ["a plaintext that is a number", change({ plaintext: 5 }), untrusted],
  ["a plaintext that was changed", change({ plaintext: "AAAA" }), untrusted],
  ["a plaintext with another's checksum", change({ plaintextCrc32c: "1" }), untrusted],
  ["a plaintext without a checksum", change({ plaintextCrc32c: undefined }), untrusted],
  ["a plaintext that nobody could have wrapped", change(plaintext(Buffer.alloc(4097))), untrusted],
  ["an encryption under another key", change({ name: `${keyName}-2/cryptoKeyVersions/1` }), lie, "encrypt"],
  ["one in another project", change({ name: version.replace("audit-1", "audit-2") }), lie, "encrypt"],
  ["an encryption under no version", change({ name: keyName }), untrusted, "encrypt"],
  ["an encryption to nothing", change({ ciphertext: "" }), untrusted, "encrypt"],
  ["an encryption that was changed", change({ ciphertext: tooLong.toString("base64", 0, 96) }), untrusted, "encrypt"],
  ["an encryption without a checksum", change({ ciphertextCrc32c: undefined }), untrusted, "encrypt"],
  [
    "an encryption that is too long",
    change({ ciphertext: tooLong.toString("base64"), ciphertextCrc32c: String(crc32c(tooLong)) }),
    untrusted,
    "encrypt",
  ],
  ["a plaintext that was not checked", change({ verifiedPlaintextCrc32c: false }), untrusted, "encrypt"],
  [
    "a context that was not checked",
    change({ verifiedAdditionalAuthenticatedDataCrc32c: undefined }),
    untrusted,
    "encrypt",
  ],
  ["to another plaintext", { request: (body) => ({ ...body, plaintext: "AAAA" }) }, notWhole, "encrypt"],
  [
    "to another context",
    { request: (body) => ({ ...body, additionalAuthenticatedData: "AAAA" }) },
    notWhole,
    "encrypt",
  ],
  ["to another ciphertext", { request: (body) => ({ ...body, ciphertext: "AAAA" }) }, notWhole],
  ["another key's description", change({ name: `${keyName}-2` }), untrusted, "describe"],
  ["no name", change({ name: undefined }), untrusted, "describe"],
  ["the name of a version", change({ name: `${keyName}/cryptoKeyVersions/1` }), untrusted, "describe"],
  ["no purpose", change({ purpose: undefined }), untrusted, "describe"],
  ["a purpose that is no word", change({ purpose: "<b>" }), untrusted, "describe"],
  ["a rotation that is no time", change({ rotationPeriod: "soon" }), untrusted, "describe"],
  ["no state", primary({ state: undefined }), untrusted, "describe"],
  ["a state that is no word", primary({ state: { ENABLED: true } }), untrusted, "describe"],
  ["another key's primary version", primary({ name: `${keyName}-2/cryptoKeyVersions/1` }), untrusted, "describe"],
  ["a protection level that is no word", primary({ protectionLevel: 1 }), untrusted, "describe"],
  ["a primary version that is a list", change({ primary: [] }), untrusted, "describe"],
];

answersOf<Fault, Operation>("Google", {
  rows,
  usual: "decrypt",
  hangs: ["hang", "stall"],
  async make() {
    const { kms, provider } = await openedOnFake();
    const { wrapped } = await provider.generateDataKey(context);
    const paths = { encrypt: /:encrypt$/, decrypt: /:decrypt$/, describe: /\/fluo$/ };
    const tokens = kms.count(metadataToken);
    return {
      calls: {
        encrypt: (signal) => provider.encrypt(randomBytes(32), context, signal),
        decrypt: (signal) => provider.decrypt(wrapped, context, signal),
        describe: (signal) => provider.describe(signal),
      },
      once: (answer, operation) => kms.once(paths[operation], answer),
      count: (operation) => kms.count(paths[operation]),
      called: (operation, times) => kms.called(paths[operation], times),
      left: () => kms.left(),
      expectMore: () => expect(kms.count(metadataToken)).toBe(tokens), // nothing of this is a reason for another
    };
  },
});

it("takes a project by its number, where the setting has its id", async () => {
  const { kms, provider } = await openedOnFake();
  const numbered = keyName.replace("audit-1", "123456789012");
  kms.once(/\/fluo$/, { change: { name: numbered } });
  expect((await provider.describe()).state).toBe("enabled");
  kms.once(/:encrypt$/, { change: { name: `${numbered}/cryptoKeyVersions/1` } });
  await provider.generateDataKey(context);
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
