/** What AWS answers, through the real SDK, as our code and gRPC status, and whether it is asked again; and what an operator is told. */
import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { type KmsError, type KmsErrorCode, RpcCode, rpcCode } from "../../../src/errors.ts";
import { dependable } from "../../../src/provider/failover.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { realTime } from "../../../src/runtime/time.ts";
import type { AwsKmsAnswer, AwsKmsFake, FakeKey } from "../../fakes/aws-kms.ts";
import { thrownBy } from "../../support/matchers.ts";
import { context, openedOnFake, openOn, startFake, twoRegions, useCredentials } from "../../support/aws-fixture.ts";

useCredentials();

type Operation = "GenerateDataKey" | "Encrypt" | "Decrypt" | "DescribeKey" | "GetKeyRotationStatus";

interface Row {
  what: string;
  operation?: Operation;
  answer: AwsKmsAnswer;
  code: KmsErrorCode;
  status: RpcCode;
  isRetried: boolean;
  /** Part of what the caller is told. */
  says: string;
}

const html = "<html><body>Secret-looking words</body></html>";
const changed = (members: Record<string, unknown>): AwsKmsAnswer => ({
  change: (answer) => ({ ...answer, ...members }),
});

const rejected = {
  code: "CIPHERTEXT_REJECTED",
  status: RpcCode.INVALID_ARGUMENT,
  isRetried: false,
  says: "ciphertext rejected",
} as const;
const denied = { code: "PROVIDER_DENIED", status: RpcCode.FAILED_PRECONDITION, isRetried: false } as const;
const unavailable = { code: "PROVIDER_UNAVAILABLE", status: RpcCode.UNAVAILABLE, isRetried: true } as const;
const badCredentials = { ...denied, says: "does not accept this service's credentials" };
const cannot = { ...unavailable, says: "cannot answer now" };
const unreadable = { ...unavailable, says: "cannot be read" };
const untrusted = { ...unavailable, says: "not to be trusted" };
/** What no honest provider answers. */
const lie = { ...denied, says: "not to be trusted" };

const rows: Row[] = [
  { what: "a ciphertext that is not whole", answer: { error: "InvalidCiphertextException" }, ...rejected },
  { what: "a ciphertext of another key", answer: { error: "IncorrectKeyException" }, ...rejected },
  { what: "a ciphertext that is malformed", answer: { error: "ValidationException" }, ...rejected },
  {
    what: "a disabled key",
    answer: { error: "DisabledException", message: "arn is disabled." },
    ...denied,
    says: "key is disabled",
  },
  {
    what: "a key in deletion",
    answer: { error: "KMSInvalidStateException", message: "arn is pending deletion." },
    ...denied,
    says: "pending deletion",
  },
  {
    what: "a key whose replicas are in deletion",
    answer: { error: "KMSInvalidStateException", message: "arn is pending replica deletion." },
    ...denied,
    says: "pending deletion",
  },
  {
    what: "a key without material",
    answer: { error: "KMSInvalidStateException", message: "arn is pending import." },
    ...denied,
    says: "no key material",
  },
  {
    what: "a state of another name",
    answer: { error: "KMSInvalidStateException", message: "arn is resting." },
    ...denied,
    says: "state that forbids its use",
  },
  {
    what: "a replica that is not ready",
    answer: { error: "KMSInvalidStateException", message: "arn is creating." },
    ...unavailable,
    says: "not available now",
  },
  {
    what: "a key store that is away",
    answer: { error: "KMSInvalidStateException", message: "The proxy did not respond in time. Retry the request." },
    ...unavailable,
    says: "not available now",
  },
  { what: "a policy", answer: { error: "AccessDeniedException" }, ...denied, says: "denies access to its key" },
  { what: "a missing key", answer: { error: "NotFoundException" }, ...denied, says: "does not exist" },
  {
    what: "a key for signing",
    answer: { error: "InvalidKeyUsageException" },
    ...denied,
    says: "not one for this operation",
  },
  {
    what: "a malformed request",
    operation: "Encrypt",
    answer: { error: "ValidationException" },
    ...denied,
    says: "does not take the request",
  },
  { what: "an unknown access key", answer: { error: "UnrecognizedClientException" }, ...badCredentials },
  { what: "an unknown token", answer: { error: "InvalidClientTokenId", status: 403 }, ...badCredentials },
  {
    what: "a token that was good and has expired",
    answer: { error: "ExpiredTokenException" },
    ...unavailable,
    says: "credentials for the provider have expired",
  },
  {
    what: "a wrong secret",
    answer: { error: "InvalidSignatureException", message: "The request signature we calculated does not match" },
    ...badCredentials,
  },
  { what: "no signature", answer: { error: "MissingAuthenticationTokenException" }, ...badCredentials },
  {
    what: "a wrong clock",
    answer: { error: "InvalidSignatureException", message: "Signature expired: 20261124T000000Z is now earlier than" },
    ...unavailable,
    says: "clock",
  },
  { what: "a request from the past", answer: { error: "RequestExpired" }, ...unavailable, says: "clock" },
  {
    what: "throttling",
    answer: { error: "ThrottlingException", message: "Rate exceeded" },
    ...unavailable,
    says: "throttles",
  },
  {
    what: "throttling by its old name",
    answer: { error: "Throttling", status: 503 },
    ...unavailable,
    says: "throttles",
  },
  { what: "throttling by status", answer: { error: "SomeException", status: 429 }, ...unavailable, says: "throttles" },
  { what: "a failure inside", answer: { error: "KMSInternalException", status: 500 }, ...cannot },
  { what: "a dependency that is late", answer: { error: "DependencyTimeoutException", status: 503 }, ...cannot },
  { what: "a key that is not there now", answer: { error: "KeyUnavailableException", status: 500 }, ...cannot },
  { what: "a 5xx by the name of a refusal", answer: { error: "AccessDeniedException", status: 503 }, ...cannot },
  { what: "an error that is not known", answer: { error: "BrandNewException" }, ...cannot },
  {
    what: "a rejection of what is no decryption",
    operation: "Encrypt",
    answer: { error: "InvalidCiphertextException" },
    ...cannot,
  },
  { what: "an empty 502", answer: { body: "", status: 502 }, ...cannot },
  { what: "an HTML page with 200", answer: { body: html, contentType: "text/html" }, ...unreadable },
  { what: "an HTML page with 503", answer: { body: html, status: 503, contentType: "text/html" }, ...unreadable },
  { what: "an HTML page with 403", answer: { body: html, status: 403, contentType: "text/html" }, ...unreadable },
  { what: "half an answer", answer: { body: '{"KeyId":"arn","Plaintext":"c2VjcmV0' }, ...unreadable },
  { what: "broken base64", answer: changed({ Plaintext: "%%%" }), ...unreadable },
  { what: "a reset connection", answer: "reset", ...unavailable, says: "cannot be reached" },
  { what: "an empty answer", answer: { body: "{}" }, ...untrusted },
  { what: "an answer that is no object", answer: { body: "null" }, ...untrusted },
  { what: "an empty data key", operation: "GenerateDataKey", answer: { body: "{}" }, ...untrusted },
  { what: "an empty encryption", operation: "Encrypt", answer: { body: "{}" }, ...untrusted },
  {
    what: "a plaintext of another key",
    answer: changed({ KeyId: "arn:aws:kms:eu-west-1:111122223333:key/other" }),
    ...lie,
  },
  {
    what: "a plaintext of another account's key",
    answer: {
      change: (answer) => ({ ...answer, KeyId: String(answer.KeyId).replace("111122223333", "999999999999") }),
    },
    ...lie,
  },
  { what: "a plaintext of no key", answer: changed({ KeyId: undefined }), ...untrusted },
  { what: "no plaintext", answer: changed({ Plaintext: "" }), ...untrusted },
  { what: "a plaintext that is a number", answer: changed({ Plaintext: 5 }), ...untrusted },
  {
    what: "a plaintext that nobody could have wrapped",
    answer: changed({ Plaintext: randomBytes(4097).toString("base64") }),
    ...untrusted,
  },
  {
    what: "a data key of another key",
    operation: "GenerateDataKey",
    answer: changed({ KeyId: "alias/fluo" }),
    ...lie,
  },
  {
    what: "a data key that is short",
    operation: "GenerateDataKey",
    answer: changed({ Plaintext: randomBytes(31).toString("base64") }),
    ...lie,
  },
  {
    what: "a data key without its wrapped form",
    operation: "GenerateDataKey",
    answer: changed({ CiphertextBlob: undefined }),
    ...untrusted,
  },
  { what: "an encryption under another key", operation: "Encrypt", answer: changed({ KeyId: "other" }), ...lie },
  { what: "an encryption to nothing", operation: "Encrypt", answer: changed({ CiphertextBlob: "" }), ...untrusted },
  {
    what: "an encryption that is too long",
    operation: "Encrypt",
    answer: changed({ CiphertextBlob: randomBytes(6145).toString("base64") }),
    ...untrusted,
  },
];

describe("AWS answers with", () => {
  let kms: AwsKmsFake;
  let provider: Provider;
  let resilient: Provider;
  let wrapped: Uint8Array;
  beforeAll(async () => {
    kms = await startFake();
    const key = kms.createKey();
    [provider] = await openOn([kms], key.arn);
    resilient = dependable(await openOn([kms], key.arn), {
      firstPauseMs: 1,
      maxPauseMs: 1,
      breakAfter: 1_000,
      retryBudget: 1_000,
      time: realTime,
    });
    ({ wrapped } = await provider.generateDataKey(context));
  });

  const calls: Record<string, (to: Provider) => Promise<unknown>> = {
    GenerateDataKey: (to) => to.generateDataKey(context),
    Encrypt: (to) => to.encrypt(randomBytes(32), context),
    Decrypt: (to) => to.decrypt(wrapped, context),
  };

  it.each(rows.map((row) => ({ operation: "Decrypt" as Operation, ...row })))(
    "$what ($operation): $code, status $status, retried: $isRetried",
    async (row) => {
      const { operation, answer, code, status, isRetried, says } = row;
      const call = calls[operation]!;
      kms.once(answer, operation);
      const error = await thrownBy(() => call(provider));
      expect(error).toBeKmsError(code, says);
      expect(rpcCode[code]).toBe(status);

      kms.once(answer, operation);
      const before = kms.calls[operation]!;
      if (isRetried) await call(resilient);
      else expect(await thrownBy(() => call(resilient))).toBeKmsError(code, says);
      expect(kms.calls[operation]! - before).toBe(isRetried ? 2 : 1);
    },
  );

  it("words that stay out of what a caller is told", async () => {
    kms.once(
      { error: "AccessDeniedException", message: "User: arn:aws:iam::111122223333:user/x is not authorized" },
      "Decrypt",
    );
    const error = (await thrownBy(() => provider.decrypt(wrapped, context))) as KmsError;
    expect(error.message).toBe("the provider denies access to its key");
    expect(String(error.cause)).toContain("user/x");
  });

  it("the request that it would have signed, whose session token is not in what the error carries for the log", async () => {
    const canonical = "'POST\n/\n\nhost:kms.eu-west-1.amazonaws.com\nx-amz-security-token:IQoJb3JpZ2luX2VjE\n";
    const message = `The request signature we calculated does not match.\n\nThe Canonical String should have been\n${canonical}`;
    kms.once({ error: "InvalidSignatureException", message }, "Decrypt");
    const error = (await thrownBy(() => provider.decrypt(wrapped, context))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "does not accept this service's credentials");
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("IQoJb3JpZ2luX2VjE");
    expect(String(error.cause)).toContain("InvalidSignatureException: The request signature we calculated");
  });

  it("half a secret, which is not in the error, nor in what it carries for the log", async () => {
    kms.once({ body: '{"Plaintext":"c2VjcmV0' }, "Decrypt");
    const error = (await thrownBy(() => provider.decrypt(wrapped, context))) as KmsError;
    expect(`${error.message} ${error.stack} ${(error.cause as Error).stack}`).not.toContain("c2VjcmV0");
    expect(String(error.cause)).toContain("SyntaxError in the answer of HTTP 200, request ");
  });

  it("an answer without end, of which no more is gathered than there should be", async () => {
    kms.once({ change: (answer) => ({ ...answer, Padding: "x".repeat(100_000) }) }, "Decrypt");
    expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect(await provider.decrypt(wrapped, context)).toHaveLength(32);
  });

  it("a state that is no word, or a date that is none: no answer, and no refusal of the key", async () => {
    for (const wrong of [
      { KeyState: undefined },
      { KeyState: { Enabled: true } },
      { KeyState: "x".repeat(65) },
      { KeyState: "PendingDeletion", DeletionDate: 1e300 },
      { Origin: "EXTERNAL", ValidTo: 1e300 },
    ]) {
      const change = ({ KeyMetadata, ...rest }: Record<string, unknown>) => ({
        ...rest,
        KeyMetadata: { ...(KeyMetadata as object), ...wrong },
      });
      for (const look of [() => provider.describe(), () => provider.inspect()]) {
        kms.once({ change }, "DescribeKey");
        expect(await thrownBy(look)).toBeKmsError("PROVIDER_UNAVAILABLE", "it tells no state of the key");
      }
    }
  });

  it("a key of another name to whoever describes it", async () => {
    for (const KeyMetadata of [
      undefined,
      {},
      { Arn: "arn:aws:kms:eu-west-1:111122223333:key/other", KeyState: "Enabled" },
    ]) {
      kms.once(changed({ KeyMetadata }), "DescribeKey");
      expect(await thrownBy(() => provider.describe())).toBeKmsError("PROVIDER_UNAVAILABLE", "not to be trusted");
    }
    kms.once(changed({ KeyId: "arn:aws:kms:eu-west-1:111122223333:key/other" }), "GetKeyRotationStatus");
    expect(await thrownBy(() => provider.inspect())).toBeKmsError("PROVIDER_UNAVAILABLE", "not to be trusted");
  });
});

describe("a key's state", () => {
  const states: [
    state: FakeKey["state"],
    isUsable: boolean,
    code: KmsErrorCode | undefined,
    advice: string | undefined,
  ][] = [
    ["Enabled", true, undefined, undefined],
    ["Updating", true, undefined, undefined],
    ["Disabled", false, "PROVIDER_DENIED", "aws kms enable-key --key-id ARN --region eu-west-1"],
    [
      "PendingDeletion",
      false,
      "PROVIDER_DENIED",
      "aws kms cancel-key-deletion --key-id ARN --region eu-west-1 && aws kms enable-key --key-id ARN --region eu-west-1",
    ],
    ["PendingReplicaDeletion", false, "PROVIDER_DENIED", "aws kms cancel-key-deletion --key-id ARN --region eu-west-1"],
    ["PendingImport", false, "PROVIDER_DENIED", "aws kms import-key-material --key-id ARN --region eu-west-1"],
    ["Creating", false, "PROVIDER_UNAVAILABLE", "aws kms describe-key --key-id ARN --region eu-west-1"],
    ["Unavailable", false, "PROVIDER_UNAVAILABLE", "aws kms describe-key --key-id ARN --region eu-west-1"],
  ];

  it.each(states)("%s", async (state, isUsable, code, told) => {
    const { key, provider } = await openedOnFake();
    key.rotationDays = 365;
    key.state = state;
    key.deletionDate = new Date("2026-12-24T00:00:00Z");
    const report = await provider.inspect();
    expect(report.state).toBe(isUsable ? "enabled" : "disabled");
    expect(report.detail).toBe(
      state === "PendingDeletion" ? "PendingDeletion, to be deleted on 2026-12-24T00:00:00.000Z" : state,
    );
    const advice = told?.replaceAll("ARN", key.arn);
    expect(report.advice).toEqual(advice === undefined ? [] : [expect.stringContaining(advice)]);
    if (code === undefined) return void (await provider.generateDataKey(context));
    const error = await thrownBy(() => provider.generateDataKey(context));
    expect(error).toBeKmsError(code);
    if (code === "PROVIDER_DENIED") expect((error as KmsError).advice).toContain(advice);
  });
});

describe("the advice", () => {
  const operations: [Operation, (provider: Provider) => Promise<unknown>][] = [
    ["GenerateDataKey", (provider) => provider.generateDataKey(context)],
    ["Encrypt", (provider) => provider.encrypt(randomBytes(32), context)],
    ["Decrypt", async (provider) => provider.decrypt(randomBytes(100), context)],
    ["DescribeKey", (provider) => provider.describe()],
  ];

  it.each(operations)("for a policy without kms:%s is the statement that allows it", async (operation, call) => {
    const { kms, key, provider } = await openedOnFake();
    kms.deny((request) => request.operation === operation);
    const error = await thrownBy(() => call(provider));
    expect(error).toBeKmsError("PROVIDER_DENIED", "denies access");
    const { advice } = error as KmsError;
    expect(advice).toContain(`{"Effect":"Allow","Action":"kms:${operation}","Resource":"${key.arn}"}`);
    expect(advice).toContain("key policy");
  });

  it("for a policy on kms:EncryptionContext is the same: the context that it does not allow is denied, another is not", async () => {
    const { kms, provider } = await openedOnFake();
    kms.deny((request) => request.operation !== "DescribeKey" && request.context.tenant_id !== "acme");
    await provider.generateDataKey(context);
    const error = await thrownBy(() => provider.generateDataKey({ ...context, tenant_id: "other" }));
    expect(error).toBeKmsError("PROVIDER_DENIED", "denies access");
  });

  it("for a wrong clock is to set it", async () => {
    const { kms, provider } = await openedOnFake();
    kms.once({ error: "InvalidSignatureException", message: "Signature not yet current: 20261124T000000Z" });
    expect(((await thrownBy(() => provider.generateDataKey(context))) as KmsError).advice).toContain(
      "timedatectl set-ntp true",
    );
  });
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

  it("that fails for a while is a failure, not a rotation that is off", async () => {
    const { kms, provider } = await openedOnFake();
    kms.once({ error: "ThrottlingException" }, "GetKeyRotationStatus");
    expect(await thrownBy(() => provider.inspect())).toBeKmsError("PROVIDER_UNAVAILABLE", "throttles");
  });
});
