/**
 * What each operation of the fake AWS KMS answers and refuses, as AWS's own pages have it; each rule names its page under
 * docs.aws.amazon.com/kms/latest/. All client errors are HTTP 400: APIReference/CommonErrors.html and each operation's "Errors".
 */
import { randomBytes } from "node:crypto";
import { account, type EncryptionContext, type FakeKey, materialOf, openBlob, sealBlob } from "./aws-kms-keys.ts";

/** An error that AWS answers with. */
export class AwsError extends Error {
  readonly status: number;

  constructor(name: string, message: string, status = 400) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

export interface AwsRequest {
  operation: string;
  keyId: string | undefined;
  context: EncryptionContext;
}

/** What the operations work on. */
export interface Region {
  region: string;
  keys: Map<string, FakeKey>;
  /** From `alias/name` to a key; may be pointed elsewhere at any time. */
  aliases: Map<string, FakeKey>;
  /** A policy: true refuses the request, by action, key and `kms:EncryptionContext:…`: developerguide/conditions-kms.html */
  denies: (request: AwsRequest & { keyArn: string }) => boolean;
  /** A broken service, which neither binds nor checks the encryption context. */
  ignoresContext: boolean;
}

type Input = Record<string, unknown>;
type Output = Record<string, unknown>;

/** APIReference/API_Encrypt.html: Plaintext is 1 to 4096 bytes for a symmetric key. */
const maxPlaintextBytes = 4096;
/** APIReference/API_Decrypt.html: CiphertextBlob is 1 to 6144 bytes. */
const maxBlobBytes = 6144;
/** developerguide/encrypt_context.html */
const maxContextCharacters = 8192;

export const operations: Record<string, (region: Region, input: Input) => Output> = {
  DescribeKey(region, input) {
    const key = keyFor(region, "DescribeKey", input);
    return { KeyMetadata: metadata(key) };
  },

  /** APIReference/API_GetKeyRotationStatus.html; developerguide/key-state.html notes 6 and 7. */
  GetKeyRotationStatus(region, input) {
    if (typeof input.KeyId === "string" && input.KeyId.includes("alias/")) throw validation("keyId is an alias");
    const key = keyFor(region, "GetKeyRotationStatus", input);
    if (key.origin !== "AWS_KMS") {
      throw new AwsError(
        "UnsupportedOperationException",
        `${key.arn} origin is ${key.origin} which is not valid for this operation.`,
      );
    }
    if (key.rotationDays === undefined || key.state === "PendingDeletion") {
      return { KeyId: key.id, KeyRotationEnabled: false };
    }
    return { KeyId: key.id, KeyRotationEnabled: true, RotationPeriodInDays: key.rotationDays };
  },

  /** APIReference/API_GenerateDataKey.html */
  GenerateDataKey(region, input) {
    if (input.KeySpec !== "AES_256") throw validation("the fake makes AES_256 alone");
    const { key, context } = usable(region, "GenerateDataKey", input);
    const plaintext = randomBytes(32);
    return { CiphertextBlob: base64(sealBlob(key, plaintext, context)), KeyId: key.arn, Plaintext: base64(plaintext) };
  },

  Encrypt(region, input) {
    const plaintext = bytesOf(input, "Plaintext", maxPlaintextBytes);
    const { key, context } = usable(region, "Encrypt", input);
    return {
      CiphertextBlob: base64(sealBlob(key, plaintext, context)),
      EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
      KeyId: key.arn,
    };
  },

  /** APIReference/API_Decrypt.html: KeyId is optional for a symmetric key, and the blob then names its own. */
  Decrypt(region, input) {
    const blob = bytesOf(input, "CiphertextBlob", maxBlobBytes);
    const named = materialOf(region.keys.values(), blob);
    if (input.KeyId === undefined && named === undefined) throw invalidCiphertext();
    const { key, context } = usable(region, "Decrypt", { ...input, KeyId: input.KeyId ?? named?.key.arn });
    if (named === undefined) throw invalidCiphertext();
    if (named.key !== key) {
      throw new AwsError(
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
      );
    }
    try {
      const plaintext = openBlob(named.material, blob, context);
      return { KeyId: key.arn, Plaintext: base64(plaintext), EncryptionAlgorithm: "SYMMETRIC_DEFAULT" };
    } catch {
      throw invalidCiphertext();
    }
  },
};

/** The key of a cryptographic operation: allowed, in a state and of a kind that can do it. */
function usable(region: Region, operation: string, input: Input): { key: FakeKey; context: EncryptionContext } {
  const context = contextOf(input);
  const key = keyFor(region, operation, input);
  refuseState(key);
  if (key.usage !== "ENCRYPT_DECRYPT" || key.spec !== "SYMMETRIC_DEFAULT") {
    throw new AwsError(
      "InvalidKeyUsageException",
      `${key.arn} key usage is ${key.usage} which is not valid for ${operation}.`,
    );
  }
  return { key, context: region.ignoresContext ? {} : context };
}

/** developerguide/key-state.html: in Enabled and Updating cryptographic operations succeed. */
function refuseState(key: FakeKey): void {
  if (key.state === "Enabled" || key.state === "Updating") return;
  if (key.state === "Disabled") throw new AwsError("DisabledException", `${key.arn} is disabled.`);
  const words = key.state.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
  throw new AwsError("KMSInvalidStateException", `${key.arn} is ${words}.`);
}

function keyFor(region: Region, operation: string, input: Input): FakeKey {
  const { KeyId: name } = input;
  if (typeof name !== "string" || name.length < 1 || name.length > 2048)
    throw validation("keyId is missing or too long");
  const key = resolve(region, name);
  const keyArn = key?.arn ?? `arn:aws:kms:${region.region}:${account}:key/${name}`;
  if (region.denies({ operation, keyId: name, keyArn, context: contextOf(input) })) {
    throw new AwsError(
      "AccessDeniedException",
      `User: arn:aws:iam::${account}:user/test is not authorized to perform: kms:${operation} on resource: ${keyArn} because no identity-based policy allows the kms:${operation} action`,
    );
  }
  if (key === undefined) throw new AwsError("NotFoundException", notFoundText(region, name));
  return key;
}

/** A key id, key ARN, alias name or alias ARN of this region: APIReference/API_DescribeKey.html#KMS-DescribeKey-request-KeyId */
function resolve(region: Region, name: string): FakeKey | undefined {
  const prefix = `arn:aws:kms:${region.region}:${account}:`;
  if (name.startsWith("arn:") && !name.startsWith(prefix)) return undefined;
  const local = name.startsWith(prefix) ? name.slice(prefix.length) : name;
  if (local.startsWith("alias/")) return region.aliases.get(local);
  return region.keys.get(local.startsWith("key/") ? local.slice("key/".length) : local);
}

function notFoundText(region: Region, name: string): string {
  if (name.startsWith("arn:") && !name.includes(`:${region.region}:`)) return `Invalid arn ${region.region}`;
  if (name.includes("alias/")) return `Alias arn:aws:kms:${region.region}:${account}:${name} is not found.`;
  return `Key '${name}' does not exist`;
}

/** APIReference/API_KeyMetadata.html; times are seconds since the epoch, as AWS JSON 1.1 has them. */
function metadata(key: FakeKey): Output {
  return {
    AWSAccountId: account,
    Arn: key.arn,
    CreationDate: 1_700_000_000,
    ...(key.deletionDate && key.state === "PendingDeletion" && { DeletionDate: key.deletionDate.getTime() / 1000 }),
    Description: "",
    Enabled: key.state === "Enabled",
    ...(key.usage === "ENCRYPT_DECRYPT" && { EncryptionAlgorithms: [key.spec] }),
    KeyId: key.id,
    KeyManager: "CUSTOMER",
    KeySpec: key.spec,
    KeyState: key.state,
    KeyUsage: key.usage,
    MultiRegion: key.primaryRegion !== undefined,
    ...(key.primaryRegion && { MultiRegionConfiguration: multiRegion(key, key.primaryRegion) }),
    Origin: key.origin,
    ...(key.validTo && { ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo: key.validTo.getTime() / 1000 }),
  };
}

function multiRegion(key: FakeKey, primaryRegion: string): Output {
  const arn = `arn:aws:kms:${primaryRegion}:${account}:key/${key.id}`;
  return {
    MultiRegionKeyType: key.region === primaryRegion ? "PRIMARY" : "REPLICA",
    PrimaryKey: { Arn: arn, Region: primaryRegion },
    ReplicaKeys: key.region === primaryRegion ? [] : [{ Arn: key.arn, Region: key.region }],
  };
}

export function contextOf({ EncryptionContext: context = {} }: Input): EncryptionContext {
  const pairs = Object.entries(context as EncryptionContext);
  if (pairs.some(([, value]) => typeof value !== "string"))
    throw new AwsError("SerializationException", "not a string");
  if (pairs.flat().join("").length > maxContextCharacters) throw validation("EncryptionContext is too long");
  return Object.fromEntries(pairs);
}

function bytesOf(input: Input, member: string, most: number): Buffer {
  const text = input[member];
  if (typeof text !== "string")
    throw validation(`Value null at '${member}' failed to satisfy constraint: Member must not be null`);
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text) throw new AwsError("SerializationException", `${member} is not base64`);
  if (bytes.length < 1 || bytes.length > most) {
    throw validation(
      `Value at '${member}' failed to satisfy constraint: Member must have length between 1 and ${most}`,
    );
  }
  return bytes;
}

function base64(bytes: Buffer): string {
  return bytes.toString("base64");
}

/** AWS says no more than the name. */
function invalidCiphertext(): AwsError {
  return new AwsError("InvalidCiphertextException", "");
}

function validation(text: string): AwsError {
  return new AwsError("ValidationException", `1 validation error detected: ${text}`);
}
