/** What Cloud KMS does with a request: real AES-GCM, key versions and their states, checksums, permissions. Each rule names its document. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { crc32c } from "../../src/encoding/crc32c.ts";

export interface FakeVersion {
  /** https://cloud.google.com/kms/docs/key-states */
  state: string;
  protectionLevel: string;
  destroyTime?: string;
  secret: Buffer;
}

/** https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys#CryptoKey */
export interface FakeKey {
  name: string;
  purpose: string;
  /** By number. */
  versions: Map<number, FakeVersion>;
  primary: number | undefined;
  rotationPeriod: string | undefined;
  importOnly: boolean;
}

export interface Reply {
  status: number;
  /** JSON, or text as it is. */
  body?: unknown;
  headers?: Record<string, string>;
}

export interface KmsState {
  keys: ReadonlyMap<string, FakeKey>;
  /** Permissions that no caller has, as in cloudkms.cryptoKeys.get. */
  denied: ReadonlySet<string>;
}

type Body = Record<string, unknown>;

export function newVersion(protectionLevel = "SOFTWARE"): FakeVersion {
  return { state: "ENABLED", protectionLevel, secret: randomBytes(32) };
}

/** A new primary version; the old ones still open: https://cloud.google.com/kms/docs/key-rotation */
export function rotateKey(key: FakeKey): void {
  const number = key.versions.size + 1;
  key.versions.set(number, newVersion(key.versions.get(1)?.protectionLevel));
  key.primary = number;
}

export function kmsReply(state: KmsState, method: string, path: string, body: Body): Reply {
  const [, name = "", verb] = /^\/v1\/(projects\/[^:?]+)(?::(\w+))?$/.exec(path) ?? [];
  const permission = permissions[`${method} ${verb ?? ""}`];
  if (permission === undefined) return failed(404, "NOT_FOUND", "Method not found.");
  const key = state.keys.get(name);
  // https://cloud.google.com/kms/docs/reference/permissions-and-roles; who may not see a key is not told whether it is there.
  if (state.denied.has(permission)) {
    return failed(
      403,
      "PERMISSION_DENIED",
      `Permission '${permission}' denied on resource '${name}' (or it may not exist).`,
    );
  }
  if (key === undefined) return failed(404, "NOT_FOUND", `CryptoKey ${name} not found.`);
  if (verb === undefined) return { status: 200, body: description(key) };
  // https://cloud.google.com/kms/docs/reference/rest/v1/CryptoKeyPurpose
  if (key.purpose !== "ENCRYPT_DECRYPT")
    return failed(400, "FAILED_PRECONDITION", `${name} has purpose ${key.purpose}.`);
  return verb === "encrypt" ? encrypt(key, body) : decrypt(key, body);
}

const permissions: Readonly<Record<string, string>> = {
  "GET ": "cloudkms.cryptoKeys.get",
  "POST encrypt": "cloudkms.cryptoKeyVersions.useToEncrypt",
  "POST decrypt": "cloudkms.cryptoKeyVersions.useToDecrypt",
};

/** Members that are unset are not there, and int64 is text: https://protobuf.dev/programming-guides/json/ */
function description(key: FakeKey): Body {
  const primary = key.primary === undefined ? undefined : key.versions.get(key.primary)!;
  return {
    name: key.name,
    ...(primary !== undefined && {
      primary: {
        name: versionName(key, key.primary!),
        state: primary.state,
        protectionLevel: primary.protectionLevel,
        algorithm: "GOOGLE_SYMMETRIC_ENCRYPTION",
        ...(primary.destroyTime !== undefined && { destroyTime: primary.destroyTime }),
      },
    }),
    purpose: key.purpose,
    ...(key.rotationPeriod !== undefined && { rotationPeriod: key.rotationPeriod }),
    ...(key.importOnly && { importOnly: true }),
  };
}

/** https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt */
function encrypt(key: FakeKey, body: Body): Reply {
  const [plaintext, aad] = [bytesOf(body, "plaintext"), bytesOf(body, "additionalAuthenticatedData")];
  const wrong = checked(body, { plaintext, additionalAuthenticatedData: aad });
  if (wrong !== undefined) return wrong;
  if (key.primary === undefined) return failed(400, "FAILED_PRECONDITION", `${key.name} has no primary version.`);
  const { secret, protectionLevel, state } = key.versions.get(key.primary)!;
  if (state !== "ENABLED") return unusable(versionName(key, key.primary), state);
  // 64 KiB, or 8 KiB of both together for a key in hardware.
  const isTooLong =
    protectionLevel === "HSM" ? plaintext.length + aad.length > 8192 : Math.max(plaintext.length, aad.length) > 65_536;
  if (plaintext.length === 0 || isTooLong)
    return failed(400, "INVALID_ARGUMENT", "plaintext must be 1 to 65536 bytes.");
  const ciphertext = seal(key, key.primary, secret, plaintext, aad);
  const answer = {
    name: versionName(key, key.primary),
    ciphertext: ciphertext.toString("base64"),
    ciphertextCrc32c: String(crc32c(ciphertext)),
    ...(body.plaintextCrc32c !== undefined && { verifiedPlaintextCrc32c: true }),
    ...(body.additionalAuthenticatedDataCrc32c !== undefined && { verifiedAdditionalAuthenticatedDataCrc32c: true }),
    protectionLevel,
  };
  return { status: 200, body: answer };
}

/** https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt */
function decrypt(key: FakeKey, body: Body): Reply {
  const [ciphertext, aad] = [bytesOf(body, "ciphertext"), bytesOf(body, "additionalAuthenticatedData")];
  const wrong = checked(body, { ciphertext, additionalAuthenticatedData: aad });
  if (wrong !== undefined) return wrong;
  const invalid = failed(400, "INVALID_ARGUMENT", "Decryption failed: the ciphertext is invalid.");
  if (ciphertext.length < headBytes + ivBytes + tagBytes) return invalid;
  if (!ciphertext.subarray(4, headBytes).equals(markOf(key))) {
    return failed(400, "INVALID_ARGUMENT", "Decryption failed: verify that 'name' refers to the correct CryptoKey.");
  }
  const number = ciphertext.readUInt32BE(0);
  const version = key.versions.get(number);
  if (version === undefined) return invalid;
  if (version.state !== "ENABLED") return unusable(versionName(key, number), version.state);
  try {
    const plaintext = open(version.secret, ciphertext, aad);
    const answer = {
      plaintext: plaintext.toString("base64"),
      plaintextCrc32c: String(crc32c(plaintext)),
      ...(number === key.primary && { usedPrimary: true }),
      protectionLevel: version.protectionLevel,
    };
    return { status: 200, body: answer };
  } catch {
    return invalid;
  }
}

/** https://cloud.google.com/kms/docs/data-integrity-guidelines, with the words that are given there. */
function checked(body: Body, given: Record<string, Buffer>): Reply | undefined {
  for (const field of Object.keys(body)) {
    if (Object.keys(given).some((name) => field === name || field === `${name}Crc32c`)) continue;
    return failed(
      400,
      "INVALID_ARGUMENT",
      `Invalid JSON payload received. Unknown name "${field}": Cannot find field.`,
    );
  }
  for (const [name, bytes] of Object.entries(given)) {
    const sum = body[`${name}Crc32c`];
    if (sum === undefined || String(sum) === String(crc32c(bytes))) continue;
    const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const words = `The checksum in field ${snake}_crc32c did not match the data in field ${snake}.`;
    return failed(400, "INVALID_ARGUMENT", words);
  }
  return undefined;
}

/** https://cloud.google.com/apis/design/errors; the words and the violation are those that gcloud shows of a version that is disabled. */
function unusable(subject: string, state: string): Reply {
  const violation = {
    "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
    violations: [{ type: `KEY_${state}`, subject }],
  };
  return failed(400, "FAILED_PRECONDITION", `${subject} is not enabled, current state is: ${state}.`, [violation]);
}

export function failed(code: number, status: string, message: string, details?: readonly object[]): Reply {
  return { status: code, body: { error: { code, message, status, ...(details && { details }) } } };
}

function bytesOf(body: Body, name: string): Buffer {
  return Buffer.from(typeof body[name] === "string" ? body[name] : "", "base64");
}

function versionName(key: FakeKey, number: number): string {
  return `${key.name}/cryptoKeyVersions/${number}`;
}

/** The version (4) ‖ a mark of the key (8) ‖ iv (12) ‖ sealed ‖ tag (16). Cloud KMS's own form is its secret. */
const [headBytes, ivBytes, tagBytes] = [12, 12, 16];

function seal(key: FakeKey, number: number, secret: Buffer, plaintext: Buffer, aad: Buffer): Buffer {
  const head = Buffer.concat([Buffer.alloc(4), markOf(key)]);
  head.writeUInt32BE(number);
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv("aes-256-gcm", secret, iv).setAAD(aad);
  return Buffer.concat([head, iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function open(secret: Buffer, ciphertext: Buffer, aad: Buffer): Buffer {
  const iv = ciphertext.subarray(headBytes, headBytes + ivBytes);
  const decipher = createDecipheriv("aes-256-gcm", secret, iv, { authTagLength: tagBytes }).setAAD(aad);
  decipher.setAuthTag(ciphertext.subarray(-tagBytes));
  return Buffer.concat([decipher.update(ciphertext.subarray(headBytes + ivBytes, -tagBytes)), decipher.final()]);
}

function markOf({ name }: FakeKey): Buffer {
  return createHash("sha256").update(name).digest().subarray(0, 8);
}
