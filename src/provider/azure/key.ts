/**
 * Which key it is, and what it can do. A vault's objects are known by identifiers in which case does not count
 * (learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers), so here they are in lower case.
 */
import type { KeyVaultKey } from "@azure/keyvault-keys";
import { invalidField, KmsError } from "../../errors.ts";
import { distrusted, ProviderLie } from "../distrust.ts";
import { keyVersion, type WrapAlgorithm } from "./wrapped.ts";

/** The key without its version. */
export interface AzureKeyName {
  /** As in https://fluo.vault.azure.net: where requests go. */
  vaultUrl: string;
  /** As in fluo-kms. */
  name: string;
  /** As records and answers have it, as in https://fluo.vault.azure.net/keys/fluo-kms. */
  keyId: string;
}

/** One version of the key. */
export interface AzureKey {
  version: string;
  /** As in RSA-HSM: what an answer may say beside what is served here is in `unfit`. */
  type: string;
  bits: number;
  algorithm: WrapAlgorithm;
  operations: readonly string[];
  enabled: boolean;
  notBefore: Date | undefined;
  expiresOn: Date | undefined;
  exportable: boolean;
  /** As in Recoverable+Purgeable; undefined where the vault does not say. */
  recoveryLevel: string | undefined;
}

/** An identifier of a key, perhaps with a version. Undefined for what is none. */
export function parseKeyId(text: string): { keyId: string; version: string | undefined } | undefined {
  const [, keyId, version] =
    /^(https:\/\/[^/?#@\s]+\/keys\/[0-9a-z-]{1,127})(?:\/([0-9a-z]+))?\/?$/.exec(text.toLowerCase()) ?? [];
  return keyId === undefined ? undefined : { keyId, version };
}

export function keyName(keyId: string): AzureKeyName {
  const { origin, pathname } = new URL(keyId);
  return { vaultUrl: origin, name: pathname.slice("/keys/".length), keyId };
}

const ours: ReadonlySet<string> = new Set(["RSA", "RSA-HSM", "oct-HSM"]);
const aesAlgorithms: Readonly<Record<number, WrapAlgorithm>> = { 128: "A128KW", 192: "A192KW", 256: "A256KW" };

/** Whoever knows the public key can wrap under it. */
export function isRsa({ type }: Pick<AzureKey, "type">): boolean {
  return type.startsWith("RSA");
}

/**
 * What the vault says of a version. Throws PROVIDER_UNAVAILABLE for an answer that tells no state: that is no refusal.
 * `body` is the answer itself: Managed HSM puts the size of an AES key in `key_size`, which the SDK drops. One that is not told is taken
 * for 256 bits, the size that Managed HSM makes by itself.
 */
export function describedKey({ key, properties }: KeyVaultKey, version: string, body: unknown): AzureKey {
  const { enabled, notBefore, expiresOn, exportable, recoveryLevel } = properties;
  const { kty: type, keyOps: operations = [], n } = key ?? {};
  const isWhole =
    typeof type === "string" &&
    /^[A-Za-z-]{1,32}$/.test(type) &&
    typeof enabled === "boolean" &&
    Array.isArray(operations) &&
    [notBefore, expiresOn].every((date) => date == null || (date instanceof Date && !Number.isNaN(date.getTime())));
  if (!isWhole) throw distrusted("it tells no state of the key");
  const bits = type.startsWith("RSA") ? modulusBits(n) : sizeIn(body);
  return {
    version,
    type,
    bits,
    algorithm: type.startsWith("RSA") ? "RSA-OAEP-256" : (aesAlgorithms[bits] ?? "A256KW"),
    operations,
    enabled,
    notBefore: notBefore ?? undefined,
    expiresOn: expiresOn ?? undefined,
    exportable: exportable === true,
    recoveryLevel: typeof recoveryLevel === "string" ? recoveryLevel : undefined,
  };
}

function modulusBits(n: unknown): number {
  if (!(n instanceof Uint8Array) || n.length === 0) throw distrusted("it tells no public key");
  const zeros = n.findIndex((byte) => byte !== 0);
  return zeros === -1 ? 0 : (n.length - zeros) * 8 - Math.clz32(n[zeros]!) + 24;
}

function sizeIn(body: unknown): number {
  const { key, attributes } = Object(body) as Record<string, unknown>;
  const { key_size: size } = { ...Object(key), ...Object(attributes) } as { key_size?: unknown };
  return typeof size === "number" ? size : 256;
}

/** INVALID_ARGUMENT for a key that cannot do what is asked of it, whatever its state; undefined for one that fits. */
export function unfit({ keyId }: AzureKeyName, key: AzureKey): KmsError | undefined {
  const wrong = misfit(key);
  return wrong === undefined ? undefined : invalidField("azure.key-vault.key", `${keyId} ${wrong}`);
}

/** A predicate of the key. */
export function misfit(key: AzureKey): string | undefined {
  const { type, bits } = key;
  if (!ours.has(type)) return `is of type ${type}, and must be RSA, RSA-HSM or oct-HSM`;
  const sizes = isRsa(key) ? [2048, 3072, 4096] : [128, 192, 256];
  if (!sizes.includes(bits)) return `has ${bits} bits, and must have ${sizes.join(", ")}`;
  const lacking = ["wrapKey", "unwrapKey"].filter((operation) => !key.operations.includes(operation));
  return lacking.length === 0 ? undefined : `does not permit ${lacking.join(" and ")}`;
}

/** The key and version in an answer, which must be those that were asked for. Where a version was, another key is a lie. */
export function answeredVersion({ keyId }: Pick<AzureKeyName, "keyId">, kid: unknown, wanted?: string): string {
  const { keyId: answered, version = "" } = (typeof kid === "string" ? parseKeyId(kid) : undefined) ?? {};
  const isOther = answered !== undefined && answered !== keyId;
  if (isOther && wanted !== undefined) throw new ProviderLie("other-key");
  if (answered !== keyId || !keyVersion.test(version)) throw distrusted("it comes from another key");
  if (wanted !== undefined && version !== wanted) throw distrusted("it comes from another version of the key");
  return version;
}

/** PROVIDER_DENIED; `what` is a predicate. */
export function refusal(what: string, advice: string): KmsError {
  return new KmsError("PROVIDER_DENIED", `the provider's key ${what}`, { advice });
}
