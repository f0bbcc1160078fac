/** The keys of the fake Key Vault: versions with real key material, attributes, soft deletion, a rotation policy. */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";

export type KeyType = "RSA" | "RSA-HSM" | "oct-HSM" | "EC";

export interface FakeVersion {
  /** 32 hex digits: learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers */
  id: string;
  type: KeyType;
  bits: number;
  enabled: boolean;
  notBefore?: Date | undefined;
  expires?: Date | undefined;
  operations: string[];
  exportable: boolean;
  created: Date;
  publicKey: KeyObject | undefined;
  material: KeyObject;
}

export interface FakeKeyOptions {
  type?: KeyType;
  bits?: number;
  operations?: string[];
}

export interface FakeVaultKey {
  name: string;
  /** Oldest first. */
  versions: FakeVersion[];
  readonly current: FakeVersion;
  deleted: boolean;
  recoveryLevel: string;
  /** As in learn.microsoft.com/rest/api/keyvault/keys/get-key-rotation-policy */
  rotationPolicy: { lifetimeActions: object[]; attributes: object };
  /** A new version, of the same kind unless another is given. */
  rotate(options?: FakeKeyOptions): FakeVersion;
}

/** The policy of a key that nobody gave one: it notifies, and rotates nothing. */
export const noRotation = {
  lifetimeActions: [{ trigger: { timeBeforeExpiry: "P30D" }, action: { type: "Notify" } }],
  attributes: { expiryTime: null },
};

export function rotatedEvery(timeAfterCreate: string): FakeVaultKey["rotationPolicy"] {
  return {
    lifetimeActions: [{ trigger: { timeAfterCreate }, action: { type: "rotate" } }],
    attributes: { expiryTime: "P2Y" },
  };
}

/** A key pair of RSA. */
interface Pair {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

/** The pairs that were made, by their bits: to make one takes longer than most that is done with it. */
const made = new Map<number, Pair[]>();

/** Gives pairs of RSA, none twice. Another such function gives the same ones. */
export function rsaPairs(): (bits: number) => Pair {
  const given = new Map<number, number>();
  return (bits) => {
    const pairs = made.get(bits) ?? [];
    made.set(bits, pairs);
    const index = given.get(bits) ?? 0;
    given.set(bits, index + 1);
    if (index === pairs.length) pairs.push(generateKeyPairSync("rsa", { modulusLength: bits }));
    return pairs[index]!;
  };
}

export function fakeVaultKey(name: string, options: FakeKeyOptions, pairOf: ReturnType<typeof rsaPairs>): FakeVaultKey {
  const versions = [newVersion(options, pairOf)];
  return {
    name,
    versions,
    get current() {
      return versions.at(-1)!;
    },
    deleted: false,
    recoveryLevel: "Recoverable",
    rotationPolicy: rotatedEvery("P90D"),
    rotate({ type = versions.at(-1)!.type, bits = versions.at(-1)!.bits, operations } = {}) {
      const version = newVersion({ type, bits, operations: operations ?? [...versions.at(-1)!.operations] }, pairOf);
      versions.push(version);
      return version;
    },
  };
}

function newVersion(
  { type = "RSA-HSM", bits = type === "oct-HSM" ? 256 : 2048, operations }: FakeKeyOptions,
  pairOf: ReturnType<typeof rsaPairs>,
): FakeVersion {
  return {
    id: randomBytes(16).toString("hex"),
    type,
    bits,
    enabled: true,
    operations: operations ?? ["encrypt", "decrypt", "wrapKey", "unwrapKey"],
    exportable: false,
    created: new Date(),
    ...materialOf(type, bits, pairOf),
  };
}

function materialOf(
  type: KeyType,
  bits: number,
  pairOf: ReturnType<typeof rsaPairs>,
): Pick<FakeVersion, "publicKey" | "material"> {
  if (type === "oct-HSM") return { publicKey: undefined, material: createSecretKey(randomBytes(bits / 8)) };
  const { publicKey, privateKey } = type === "EC" ? generateKeyPairSync("ec", { namedCurve: "P-256" }) : pairOf(bits);
  return { publicKey, material: privateKey };
}

/** What an algorithm does with a version. Undefined for what it cannot: another key type, another size, bytes that do not open. */
export function wrap(version: FakeVersion, algorithm: string, value: Buffer): Buffer | undefined {
  try {
    if (isRsaOaep256(version, algorithm)) return publicEncrypt(oaep(version.publicKey!), value);
    if (!isAesKw(version, algorithm)) return undefined;
    const cipher = createCipheriv(cipherOf(version), version.material, initialValue);
    return Buffer.concat([cipher.update(value), cipher.final()]);
  } catch {
    return undefined;
  }
}

export function unwrap(version: FakeVersion, algorithm: string, value: Buffer): Buffer | undefined {
  try {
    if (isRsaOaep256(version, algorithm)) return privateDecrypt(oaep(version.material), value);
    if (!isAesKw(version, algorithm)) return undefined;
    const decipher = createDecipheriv(cipherOf(version), version.material, initialValue);
    return Buffer.concat([decipher.update(value), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** learn.microsoft.com/azure/key-vault/keys/about-keys-details: RSAES-OAEP with SHA-256, and MGF1 with SHA-256. */
function oaep(key: KeyObject) {
  return { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
}

function isRsaOaep256({ type }: FakeVersion, algorithm: string): boolean {
  return algorithm === "RSA-OAEP-256" && type.startsWith("RSA");
}

/** The same page: AES-KW of RFC 3394, in Managed HSM alone; a name for each size. */
function isAesKw({ type, bits }: FakeVersion, algorithm: string): boolean {
  return type === "oct-HSM" && algorithm === `A${bits}KW`;
}

function cipherOf({ bits }: FakeVersion): string {
  return `id-aes${bits}-wrap`;
}

/** RFC 3394, 2.2.3.1 */
const initialValue = Buffer.alloc(8, 0xa6);
