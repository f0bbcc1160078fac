/** The name of a key at Cloud KMS, in requests, answers and commands. https://cloud.google.com/kms/docs/getting-resource-ids */
import { invalidField } from "../../errors.ts";

export interface GcpKey {
  /** projects/P/locations/L/keyRings/R/cryptoKeys/K */
  name: string;
  project: string;
  location: string;
  keyRing: string;
  id: string;
}

/** A project by its id, which may begin with a domain, or by its number; the last part for what is a version of a key. */
const pattern =
  /^projects\/([a-z0-9][a-z0-9.:-]{0,99})\/locations\/([a-z0-9-]{1,63})\/keyRings\/([\w-]{1,63})\/cryptoKeys\/([\w-]{1,63})(?:\/cryptoKeyVersions\/([1-9]\d{0,9}))?$/;

/** Throws INVALID_ARGUMENT that names `gcp.kms.key`. */
export function parseKey(text: string): GcpKey {
  const parsed = parse(text);
  if (parsed === undefined) {
    throw invalidField("gcp.kms.key", "must be projects/P/locations/L/keyRings/R/cryptoKeys/K");
  }
  if (parsed.version !== undefined) {
    throw invalidField("gcp.kms.key", `must name the key without a version: ${parsed.key.name}`);
  }
  return parsed.key;
}

/** An answer may name the project by its number where a request had its id, or the other way round. */
export function isKey(key: GcpKey, answered: unknown): boolean {
  const other = typeof answered === "string" ? parse(answered) : undefined;
  return other !== undefined && other.version === undefined && areSame(key, other.key);
}

/** The version's number in the name of a version of this key; undefined for any other text. */
export function versionIn(key: GcpKey, answered: unknown): string | undefined {
  const other = typeof answered === "string" ? parse(answered) : undefined;
  return other !== undefined && areSame(key, other.key) ? other.version : undefined;
}

/** Whether an answer names another key, or a version of one. */
export function isOtherKey(key: GcpKey, answered: unknown): boolean {
  const other = typeof answered === "string" ? parse(answered) : undefined;
  return other !== undefined && !areSame(key, other.key);
}

function parse(text: string): { key: GcpKey; version: string | undefined } | undefined {
  const [, project, location, keyRing, id, version] = pattern.exec(text) ?? [];
  if (project === undefined || location === undefined || keyRing === undefined || id === undefined) return undefined;
  const name = `projects/${project}/locations/${location}/keyRings/${keyRing}/cryptoKeys/${id}`;
  return { key: { name, project, location, keyRing, id }, version };
}

function areSame(one: GcpKey, other: GcpKey): boolean {
  const isInSameProject = one.project === other.project || isNumber(one.project) !== isNumber(other.project);
  return isInSameProject && one.location === other.location && one.keyRing === other.keyRing && one.id === other.id;
}

function isNumber(project: string): boolean {
  return /^\d+$/.test(project);
}
