/** What AWS answers, through the real SDK, as our code; and what an operator is told. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { KmsError, KmsErrorCode } from "../../../src/errors.ts";
import type { AwsKmsAnswer, FakeKey } from "../../fakes/aws-kms.ts";
import { openedOnFake, openOn, startFake, twoRegions, useCredentials } from "../../support/aws-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { type AnswerRow, answersOf, context, denied, halfSecret, html, unavailable, verdicts } from "../answers.ts";

useCredentials();

type Operation = "GenerateDataKey" | "Encrypt" | "Decrypt" | "DescribeKey" | "GetKeyRotationStatus";

const fails = (error: string, message = "", status = 400): AwsKmsAnswer => ({ error, message, status });
const inState = (words: string) => fails("KMSInvalidStateException", words);
const body = (text: string, status = 200, contentType = "application/x-amz-json-1.1"): AwsKmsAnswer => ({
  body: text,
  status,
  contentType,
});
const page = (status: number) => body(html, status, "text/html");
const changed = (members: Record<string, unknown>): AwsKmsAnswer => ({
  change: (answer) => ({ ...answer, ...members }),
});
const described = (members: Record<string, unknown>): AwsKmsAnswer => ({
  change: ({ KeyMetadata, ...rest }) => ({ ...rest, KeyMetadata: { ...(KeyMetadata as object), ...members } }),
});
const bytes = (length: number) => randomBytes(length).toString("base64");

const { cannot, lie, rejected, unreachable, unreadable, untrusted } = verdicts;
const badCredentials = denied("does not accept this service's credentials");
const throttles = unavailable("throttles");
const stateless = unavailable("it tells no state of the key");
const clock = unavailable("clock", "timedatectl set-ntp true");
const otherArn = "arn:aws:kms:eu-west-1:111122223333:key/other";
const sentBack =
  "The request signature we calculated does not match.\n\nThe Canonical String should have been\n'POST\nx-amz-security-token:";

const rows: readonly AnswerRow<AwsKmsAnswer, Operation>[] = [
  ["a ciphertext that is not whole", fails("InvalidCiphertextException"), rejected],
  ["a ciphertext of another key", fails("IncorrectKeyException"), rejected],
  ["a ciphertext that is malformed", fails("ValidationException"), rejected],
  ["a disabled key", fails("DisabledException", "arn is disabled."), denied("key is disabled")],
  ["a key in deletion", inState("arn is pending deletion."), denied("pending deletion")],
  ["a key whose replicas are in deletion", inState("arn is pending replica deletion."), denied("pending deletion")],
  ["a key without material", inState("arn is pending import."), denied("no key material")],
  ["a state of another name", inState("arn is resting."), denied("state that forbids its use")],
  ["a replica that is not ready", inState("arn is creating."), unavailable("not available now")],
  [
    "a key store that is away",
    inState("The proxy did not respond. Retry the request."),
    unavailable("not available now"),
  ],
  ...(["GenerateDataKey", "Encrypt", "Decrypt", "DescribeKey"] as const).map(
    (operation): AnswerRow<AwsKmsAnswer, Operation> => [
      "a policy without it",
      fails("AccessDeniedException"),
      denied("denies access", `{"Effect":"Allow","Action":"kms:${operation}","Resource":"ARN"}; the key policy`),
      operation,
    ],
  ),
  ["a policy", fails("AccessDeniedException", "User: user/x"), denied("denies access to its key"), "Decrypt", "user/x"],
  ["a missing key", fails("NotFoundException"), denied("does not exist")],
  ["a key for signing", fails("InvalidKeyUsageException"), denied("not one for this operation")],
  ["a malformed request", fails("ValidationException"), denied("does not take the request"), "Encrypt"],
  ["an unknown access key", fails("UnrecognizedClientException"), badCredentials],
  ["an unknown token", fails("InvalidClientTokenId", "", 403), badCredentials],
  ["a token that was good", fails("ExpiredTokenException"), unavailable("for the provider have expired", "")],
  [
    "a wrong secret, and the request as it should be, with its token",
    fails("InvalidSignatureException", sentBack + halfSecret),
    badCredentials,
    "Decrypt",
    "InvalidSignatureException: The request signature we calculated",
  ],
  ["no signature", fails("MissingAuthenticationTokenException"), badCredentials],
  [
    "a wrong clock",
    fails("InvalidSignatureException", "Signature expired: 20261124T000000Z is now earlier than"),
    clock,
  ],
  ["another", fails("InvalidSignatureException", "Signature not yet current: 20261124T000000Z"), clock],
  ["a request from the past", fails("RequestExpired"), clock],
  ["throttling", fails("ThrottlingException", "Rate exceeded"), throttles],
  ["throttling by its old name", fails("Throttling", "", 503), throttles],
  ["throttling by status", fails("SomeException", "", 429), throttles],
  ["a failure inside", fails("KMSInternalException", "", 500), cannot],
  ["a dependency that is late", fails("DependencyTimeoutException", "", 503), cannot],
  ["a key that is not there now", fails("KeyUnavailableException", "", 500), cannot],
  ["a 5xx by the name of a refusal", fails("AccessDeniedException", "", 503), cannot],
  ["an error that is not known", fails("BrandNewException"), cannot],
  ["a rejection of what is no decryption", fails("InvalidCiphertextException"), cannot, "Encrypt"],
  ["an empty 502", body("", 502), cannot],
  ["an HTML page with 200", page(200), unreadable],
  ["an HTML page with 503", page(503), unreadable],
  ["an HTML page with 403", page(403), unreadable],
  [
    "half an answer",
    body(`{"KeyId":"arn","Plaintext":"${halfSecret}`),
    unreadable,
    "Decrypt",
    "SyntaxError in the answer of HTTP 200, request ",
  ],
  ["an answer without end", changed({ Padding: "x".repeat(100_000) }), unavailable("")],
  ["broken base64", changed({ Plaintext: "%%%" }), unreadable],
  ["a reset connection", "reset", unreachable],
  ["an empty answer", body("{}"), untrusted],
  ["an answer that is no object", body("null"), untrusted],
  ["an empty data key", body("{}"), untrusted, "GenerateDataKey"],
  ["an empty encryption", body("{}"), untrusted, "Encrypt"],
  ["a plaintext of another key", changed({ KeyId: otherArn }), lie],
  [
    "a plaintext of another account's key",
    { change: (answer) => ({ ...answer, KeyId: String(answer.KeyId).replace("111122223333", "999999999999") }) },
    lie,
  ],
  ["a plaintext of no key", changed({ KeyId: undefined }), untrusted],
  ["no plaintext", changed({ Plaintext: "" }), untrusted],
  ["a plaintext that is a number", changed({ Plaintext: 5 }), untrusted],
  ["a plaintext that nobody could have wrapped", changed({ Plaintext: bytes(4097) }), untrusted],
  ["a data key of another key", changed({ KeyId: "alias/fluo" }), lie, "GenerateDataKey"],
  ["a data key that is short", changed({ Plaintext: bytes(31) }), lie, "GenerateDataKey"],
  ["a data key without its wrapped form", changed({ CiphertextBlob: undefined }), untrusted, "GenerateDataKey"],
  ["an encryption under another key", changed({ KeyId: "other" }), lie, "Encrypt"],
  ["an encryption to nothing", changed({ CiphertextBlob: "" }), untrusted, "Encrypt"],
  ["an encryption that is too long", changed({ CiphertextBlob: bytes(6145) }), untrusted, "Encrypt"],
  ["no state", described({ KeyState: undefined }), stateless, "DescribeKey"],
  ["a state that is no word", described({ KeyState: { Enabled: true } }), stateless, "DescribeKey"],
  ["a state that is a long word", described({ KeyState: "x".repeat(65) }), stateless, "DescribeKey"],
  ["no date", described({ KeyState: "PendingDeletion", DeletionDate: 1e300 }), stateless, "DescribeKey"],
  ["no other date", described({ Origin: "EXTERNAL", ValidTo: 1e300 }), stateless, "DescribeKey"],
  ["no description", changed({ KeyMetadata: undefined }), untrusted, "DescribeKey"],
  ["an empty description", changed({ KeyMetadata: {} }), untrusted, "DescribeKey"],
  ["a description of another key", described({ Arn: otherArn }), untrusted, "DescribeKey"],
  ["the rotation of another key", changed({ KeyId: otherArn }), untrusted, "GetKeyRotationStatus"],
  ["a rotation that fails for a while", fails("ThrottlingException"), throttles, "GetKeyRotationStatus"],
];

answersOf<AwsKmsAnswer, Operation>("AWS", {
  rows,
  usual: "Decrypt",
  hangs: ["silence", "stalled"],
  async make() {
    const { kms, provider } = await openedOnFake();
    const { wrapped } = await provider.generateDataKey(context);
    const count = (operation: Operation) => kms.calls[operation] ?? 0;
    return {
      calls: {
        GenerateDataKey: (signal) => provider.generateDataKey(context, signal),
        Encrypt: (signal) => provider.encrypt(randomBytes(32), context, signal),
        Decrypt: (signal) => provider.decrypt(wrapped, context, signal),
        DescribeKey: (signal) => provider.describe(signal),
        GetKeyRotationStatus: (signal) => provider.inspect(signal),
      },
      once: kms.once,
      advice: (words) => words.replace("ARN", provider.keyId),
      count,
      called: (operation, times) => kms.until(() => count(operation) >= times && kms.inFlight === 1),
      left: () => kms.until(() => kms.connections === 0 && kms.inFlight === 0),
    };
  },
});

describe("a key's state", () => {
  const [enable, cancelDeletion] = [
    "aws kms enable-key --key-id ARN --region eu-west-1",
    "aws kms cancel-key-deletion --key-id ARN --region eu-west-1",
  ];
  const look = "aws kms describe-key --key-id ARN --region eu-west-1";

  it.each<[state: FakeKey["state"], code?: KmsErrorCode, told?: string]>([
    ["Enabled"],
    ["Updating"],
    ["Disabled", "PROVIDER_DENIED", enable],
    ["PendingDeletion", "PROVIDER_DENIED", `${cancelDeletion} && ${enable}`],
    ["PendingReplicaDeletion", "PROVIDER_DENIED", cancelDeletion],
    ["PendingImport", "PROVIDER_DENIED", "aws kms import-key-material --key-id ARN --region eu-west-1"],
    ["Creating", "PROVIDER_UNAVAILABLE", look],
    ["Unavailable", "PROVIDER_UNAVAILABLE", look],
  ])("%s", async (state, code, told = "") => {
    const { key, provider } = await openedOnFake();
    Object.assign(key, { state, rotationDays: 365, deletionDate: new Date("2026-12-24T00:00:00Z") });
    const advice = told.replaceAll("ARN", key.arn);
    expect(await provider.inspect()).toMatchObject({
      state: code === undefined ? "enabled" : "disabled",
      detail: state === "PendingDeletion" ? `${state}, to be deleted on 2026-12-24T00:00:00.000Z` : state,
      advice: code === undefined ? [] : [expect.stringContaining(advice)],
    });
    if (code === undefined) return void (await provider.generateDataKey(context));
    const error = (await thrownBy(() => provider.generateDataKey(context))) as KmsError;
    expect(error).toBeKmsError(code);
    if (code === "PROVIDER_DENIED") expect(error.advice).toContain(advice);
  });
});

it("of a policy on kms:EncryptionContext denies the context that it does not allow, and no other", async () => {
  const { kms, provider } = await openedOnFake();
  kms.deny((request) => request.operation !== "DescribeKey" && request.context.tenant_id !== "acme");
  await provider.generateDataKey(context);
  const error = await thrownBy(() => provider.generateDataKey({ ...context, tenant_id: "other" }));
  expect(error).toBeKmsError("PROVIDER_DENIED", "denies access");
});

describe("rotation", () => {
  it("is told in days, or as off with how to turn it on", async () => {
    const { kms, key, provider } = await openedOnFake();
    key.rotationDays = 90;
    expect(await provider.inspect()).toMatchObject({ rotation: "every 90 days", advice: [] });
    for (const KeyId of [key.arn, undefined]) {
      kms.once(changed({ KeyId }), "GetKeyRotationStatus");
      expect(await provider.inspect()).toMatchObject({ rotation: "every 90 days", advice: [] });
    }
    key.rotationDays = undefined;
    const command = `aws kms enable-key-rotation --key-id ${key.arn} --region eu-west-1`;
    expect(await provider.inspect()).toMatchObject({
      rotation: "off",
      rotationAdvice: expect.stringContaining(command),
      advice: [],
    });
  });

  it("of a replica is turned on at its primary key", async () => {
    const { frankfurt, key } = await twoRegions();
    const [provider] = await openOn([frankfurt], key.id);
    const { rotationAdvice } = await provider.inspect();
    expect(rotationAdvice).toContain(`aws kms enable-key-rotation --key-id ${key.arn} --region eu-west-1`);
  });

  it("is not told by a policy that forbids it, with the statement that allows it", async () => {
    const { kms, key, provider } = await openedOnFake();
    kms.deny(({ operation }) => operation === "GetKeyRotationStatus");
    const { state, rotation, advice } = await provider.inspect();
    expect([state, rotation]).toEqual(["enabled", undefined]);
    const statement = `{"Effect":"Allow","Action":"kms:GetKeyRotationStatus","Resource":"${key.arn}"}`;
    expect(advice).toEqual([expect.stringContaining(statement)]);
  });

  it("is not for key material from elsewhere, and that is not asked for", async () => {
    const kms = await startFake();
    for (const [origin, rotation] of [
      ["EXTERNAL", "off: its key material is imported"],
      ["AWS_CLOUDHSM", "off: its key material is in a custom key store"],
      ["EXTERNAL_KEY_STORE", "off: its key material is in a custom key store"],
    ] as const) {
      const [provider] = await openOn([kms], kms.createKey({ origin }).id);
      expect(await provider.inspect()).toMatchObject({ state: "enabled", rotation, advice: [] });
    }
    expect(kms.calls.GetKeyRotationStatus).toBeUndefined();
  });

  it("is not for imported material, which may expire: then it is said when, and how it is imported again", async () => {
    const kms = await startFake();
    const key = kms.createKey({ origin: "EXTERNAL" });
    key.validTo = new Date("2026-12-31T00:00:00Z");
    const [provider] = await openOn([kms], key.id);
    const { advice } = await provider.inspect();
    expect(advice).toEqual([expect.stringContaining("expires on 2026-12-31T00:00:00.000Z")]);
    // AWS takes the material only as it was wrapped for this import, and nobody should be told to send it as it is.
    expect(advice[0]).toMatch(/get-parameters-for-import .*, wrap the material .*, then aws kms import-key-material/);
    expect(advice[0]).toContain(
      `aws kms import-key-material --key-id ${key.arn} --region eu-west-1 --encrypted-key-material fileb://wrapped.bin`,
    );
  });
});
