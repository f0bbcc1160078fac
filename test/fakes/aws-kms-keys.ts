/**
 * The keys of the fake AWS KMS and their cryptography, which is real. A blob is material id (16) ‖ iv (12) ‖ ciphertext ‖ tag (16),
 * AES-256-GCM under the material that the id names, with the id and the sorted encryption context as AAD. AWS's own form is its secret,
 * and no rule here leans on it: docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html
 */
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from "node:crypto";

/** Every state that docs.aws.amazon.com/kms/latest/APIReference/API_KeyMetadata.html lists. */
export type FakeKeyState =
  | "Creating"
  | "Enabled"
  | "Disabled"
  | "PendingDeletion"
  | "PendingImport"
  | "PendingReplicaDeletion"
  | "Unavailable"
  | "Updating";

export type EncryptionContext = Readonly<Record<string, string>>;

export interface FakeKeyOptions {
  /** A related key in another region, with the same id and material: what ReplicateKey makes. */
  replicaOf?: FakeKey;
  /** Gives it an `mrk-` id: docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html */
  multiRegion?: boolean;
  state?: FakeKeyState;
  usage?: "ENCRYPT_DECRYPT" | "SIGN_VERIFY" | "GENERATE_VERIFY_MAC";
  spec?: string;
  origin?: "AWS_KMS" | "EXTERNAL" | "AWS_CLOUDHSM" | "EXTERNAL_KEY_STORE";
}

interface Material {
  id: Buffer;
  bytes: Buffer;
}

/** Everything in it may be changed at any time: the next request sees it. */
export interface FakeKey {
  readonly id: string;
  readonly region: string;
  readonly arn: string;
  /** The region of the primary key; undefined for a key of one region. */
  readonly primaryRegion: string | undefined;
  readonly usage: string;
  readonly spec: string;
  readonly origin: string;
  state: FakeKeyState;
  /** When a key in PendingDeletion is deleted. */
  deletionDate: Date | undefined;
  /** When imported key material expires. */
  validTo: Date | undefined;
  /** Automatic rotation: days, or undefined for off. */
  rotationDays: number | undefined;
  /** The newest is last. Shared by replicas. */
  readonly materials: Material[];
}

export const account = "111122223333";
const idBytes = 16;
const ivBytes = 12;
const tagBytes = 16;

export function fakeKey(region: string, options: FakeKeyOptions): FakeKey {
  const { replicaOf, multiRegion = replicaOf !== undefined } = options;
  const id = replicaOf?.id ?? (multiRegion ? `mrk-${randomBytes(16).toString("hex")}` : randomUUID());
  return {
    id,
    region,
    arn: `arn:aws:kms:${region}:${account}:key/${id}`,
    primaryRegion: multiRegion ? (replicaOf?.primaryRegion ?? region) : undefined,
    usage: options.usage ?? "ENCRYPT_DECRYPT",
    spec: options.spec ?? "SYMMETRIC_DEFAULT",
    origin: options.origin ?? "AWS_KMS",
    state: options.state ?? "Enabled",
    deletionDate: undefined,
    validTo: undefined,
    rotationDays: undefined,
    materials: replicaOf?.materials ?? [newMaterial()],
  };
}

/** What a rotation does: new blobs are under new material, old ones still open. */
export function rotateMaterial(key: FakeKey): void {
  key.materials.push(newMaterial());
}

export function sealBlob(key: FakeKey, plaintext: Uint8Array, context: EncryptionContext): Buffer {
  const { id, bytes } = key.materials.at(-1)!;
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv("aes-256-gcm", bytes, iv).setAAD(Buffer.concat([id, contextBytes(context)]));
  return Buffer.concat([id, iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** Throws for anything that is not whole, under this material and this context. */
export function openBlob(material: Material, blob: Uint8Array, context: EncryptionContext): Buffer {
  const iv = blob.subarray(idBytes, idBytes + ivBytes);
  const decipher = createDecipheriv("aes-256-gcm", material.bytes, iv, { authTagLength: tagBytes })
    .setAAD(Buffer.concat([material.id, contextBytes(context)]))
    .setAuthTag(blob.subarray(-tagBytes));
  return Buffer.concat([decipher.update(blob.subarray(idBytes + ivBytes, -tagBytes)), decipher.final()]);
}

/** The key and material that a blob names, if it is long enough to be one and the name is known. */
export function materialOf(
  keys: Iterable<FakeKey>,
  blob: Uint8Array,
): { key: FakeKey; material: Material } | undefined {
  if (blob.length <= idBytes + ivBytes + tagBytes) return undefined;
  for (const key of keys) {
    const material = key.materials.find(({ id }) => id.equals(blob.subarray(0, idBytes)));
    if (material !== undefined) return { key, material };
  }
  return undefined;
}

/** Order does not matter, case does. */
function contextBytes(context: EncryptionContext): Buffer {
  return Buffer.from(
    JSON.stringify(Object.entries(context).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))),
  );
}

function newMaterial(): Material {
  return { id: randomBytes(idBytes), bytes: randomBytes(32) };
}
