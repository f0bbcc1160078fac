/**
 * What a description of a key says of it, and what an operator should change.
 * https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys#CryptoKey
 */
import { invalidField, type KmsError } from "../../errors.ts";
import * as advice from "./advice.ts";
import { distrusted } from "../distrust.ts";
import { asData, type GcpData } from "./response.ts";
import { type GcpKey, isKey, versionIn } from "./key.ts";
import type { ProviderKeyReport, ProviderKeyState } from "../provider.ts";

export interface Described {
  /** As Cloud KMS spells it. */
  name: string;
  purpose: string;
  /** The version that encrypts; undefined where the key has none. */
  primary: Version | undefined;
  rotationSeconds: number | undefined;
  importOnly: boolean;
}

interface Version {
  number: string;
  /** https://cloud.google.com/kms/docs/key-states */
  state: string;
  protectionLevel: string;
  destroyTime: string | undefined;
}

const defaultRotationMs = 90 * 86_400_000;

/** Throws PROVIDER_UNAVAILABLE for what is no description of this key. */
export function described(key: GcpKey, data: GcpData): Described {
  const { name, purpose, primary, rotationPeriod } = data;
  if (typeof name !== "string" || !isKey(key, name)) throw distrusted("it describes another key");
  if (!isWord(purpose)) throw distrusted("it tells no purpose of the key");
  return {
    name,
    purpose,
    primary: primary === undefined ? undefined : versionOf(key, asData(primary)),
    rotationSeconds: typeof rotationPeriod === "string" ? secondsIn(rotationPeriod) : undefined,
    importOnly: data.importOnly === true,
  };
}

function versionOf(key: GcpKey, data: GcpData = {}): Version {
  const { name, state, protectionLevel, destroyTime } = data;
  const number = versionIn(key, name);
  if (number === undefined || !isWord(state) || !isWord(protectionLevel)) {
    throw distrusted("it tells no state of the key's primary version");
  }
  const isDate = typeof destroyTime === "string" && !Number.isNaN(Date.parse(destroyTime));
  return {
    number,
    state,
    protectionLevel,
    destroyTime: isDate ? new Date(destroyTime).toISOString() : undefined,
  };
}

/** INVALID_ARGUMENT for a key that cannot wrap and open; undefined for one that can. */
export function unfit(key: GcpKey, { purpose }: Described): KmsError | undefined {
  if (purpose === "ENCRYPT_DECRYPT") return undefined;
  return invalidField("gcp.kms.key", `${key.name} has the purpose ${purpose}, and must have ENCRYPT_DECRYPT`);
}

export function stateOf({ primary }: Described, clockSkewMs: number | undefined): ProviderKeyState {
  if (primary === undefined) return { state: "disabled", detail: "without a primary version", clockSkewMs };
  const { number, state, protectionLevel, destroyTime } = primary;
  const when = state === "DESTROY_SCHEDULED" && destroyTime !== undefined ? `, to be destroyed on ${destroyTime}` : "";
  return {
    state: state === "ENABLED" ? "enabled" : "disabled",
    detail: `${state} (version ${number}, ${protectionLevel})${when}`,
    clockSkewMs,
  };
}

export function reportOf(key: GcpKey, of: Described, clockSkewMs: number | undefined, now: Date): ProviderKeyReport {
  const rotation = rotationOf(of);
  return {
    ...stateOf(of, clockSkewMs),
    rotation,
    ...(rotation === "off" && {
      rotationAdvice: advice.rotate({ key }, new Date(now.getTime() + defaultRotationMs)),
    }),
    advice: onState(key, of.primary),
  };
}

function onState(key: GcpKey, primary: Version | undefined): string[] {
  if (primary === undefined) return [advice.makePrimary({ key })];
  const about = { key, version: primary.number };
  switch (primary.state) {
    case "ENABLED":
      return [];
    case "DISABLED":
      return [advice.enable(about)];
    case "DESTROY_SCHEDULED":
      return [advice.restore(about)];
    case "DESTROYED":
      return [advice.replaceDestroyed(about)];
    default:
      return [advice.lookAtVersions(about)];
  }
}

/** Cloud KMS makes no versions of material that is imported or kept elsewhere: https://cloud.google.com/kms/docs/key-rotation */
function rotationOf({ rotationSeconds, importOnly, primary }: Described): string {
  if (rotationSeconds !== undefined) {
    const hours = Math.round(rotationSeconds / 3600);
    return hours % 24 === 0 ? `every ${hours / 24} days` : `every ${hours} hours`;
  }
  if (importOnly) return "off: its key material is imported";
  if (primary?.protectionLevel.startsWith("EXTERNAL")) return "off: its key material is in an external key manager";
  return "off";
}

/** A duration of protobuf's JSON, as in 7776000s. */
function secondsIn(duration: string): number {
  const [, seconds] = /^(\d{1,12})(?:\.\d{1,9})?s$/.exec(duration) ?? [];
  if (seconds === undefined) throw distrusted("it tells no rotation period of the key");
  return Number(seconds);
}

function isWord(value: unknown): value is string {
  return typeof value === "string" && /^[A-Z0-9_]{1,64}$/.test(value);
}
