/** What Azure tells of a key, in the words of the provider contract, and what an operator should change about it. */
import { hasCode, type KmsError } from "../../errors.ts";
import * as advice from "./advice.ts";
import { distrusted } from "../distrust.ts";
import { type AzureKey, type AzureKeyName, isRsa, misfit, refusal } from "./key.ts";
import type { ProviderKeyReport, ProviderKeyState } from "../provider.ts";

const soonMs = 30 * 86_400_000;

/**
 * A key outside its dates is not disabled: it opens what it wrapped, and only wraps no more
 * (learn.microsoft.com/azure/key-vault/keys/about-keys-details#date-time-controlled-operations).
 */
export function stateOf(key: AzureKey, nowMs: number): Pick<ProviderKeyState, "state" | "detail"> {
  const { version, type, bits, enabled } = key;
  const wrong = misfit(key);
  if (!enabled) return { state: "disabled", detail: `disabled, version ${version}` };
  if (wrong !== undefined) return { state: "disabled", detail: `unfit: it ${wrong}` };
  const dates = outsideDates(key, nowMs);
  return { state: "enabled", detail: `version ${version}, ${type} ${bits}${dates === undefined ? "" : `, ${dates}`}` };
}

/** Why the key may not be asked to wrap; undefined where it may. */
export function wrapRefusal(name: AzureKeyName, key: AzureKey, nowMs: number): KmsError | undefined {
  if (!key.enabled) return refusal("is disabled", advice.enable(name));
  const wrong = misfit(key);
  if (wrong !== undefined) return refusal(wrong, advice.permitOperations(name));
  if (isEarly(key, nowMs)) return refusal("is not valid yet", advice.wait(name));
  return isExpired(key, nowMs) ? refusal("has expired", advice.renew(name)) : undefined;
}

/** A vault refuses to rotate by itself, or has no say in it, in several words: a policy that may not be read is not a failure. */
export async function rotationOf(
  name: AzureKeyName,
  read: () => Promise<unknown>,
): Promise<Pick<ProviderKeyReport, "rotation" | "rotationAdvice" | "advice">> {
  try {
    const rotation = rotationIn(await read());
    return { rotation, ...(rotation === "off" && { rotationAdvice: advice.rotate(name) }), advice: [] };
  } catch (error) {
    if (!hasCode(error, "PROVIDER_DENIED")) throw error;
    return { rotation: undefined, advice: [advice.allow(name, "readRotation")] };
  }
}

export function keyAdvice(name: AzureKeyName, key: AzureKey, nowMs: number): string[] {
  const { enabled, expiresOn, exportable, recoveryLevel = "" } = key;
  return [
    ...(enabled ? [] : [advice.enable(name)]),
    ...(misfit(key) === undefined ? [] : [advice.permitOperations(name)]),
    ...(isEarly(key, nowMs) ? [advice.wait(name)] : []),
    ...(expiresOn === undefined || expiresOn.getTime() > nowMs + soonMs
      ? []
      : [isExpired(key, nowMs) ? advice.renew(name) : advice.renewInTime(name, expiresOn)]),
    // learn.microsoft.com/azure/key-vault/general/soft-delete-overview#purge-protection
    ...(recoveryLevel.includes("Purgeable") ? [advice.protectFromPurge(name)] : []),
    ...(exportable ? [advice.makeUnexportable(name)] : []),
    ...weakness(key).map((what) => advice.makeStronger(name, what)),
  ];
}

function weakness(key: AzureKey): string[] {
  const { type, bits } = key;
  if (!isRsa(key)) return bits < 256 ? [`an AES key of ${bits} bits`] : [];
  if (type === "RSA") return [`in software (${type} ${bits})`];
  return bits < 3072 ? [`an RSA key of ${bits} bits`] : [];
}

function outsideDates(key: AzureKey, nowMs: number): string | undefined {
  if (isEarly(key, nowMs)) return `wraps nothing before ${key.notBefore!.toISOString()}`;
  return isExpired(key, nowMs) ? `expired on ${key.expiresOn!.toISOString()} and wraps no more` : undefined;
}

function isEarly({ notBefore }: AzureKey, nowMs: number): boolean {
  return notBefore !== undefined && notBefore.getTime() > nowMs;
}

function isExpired({ expiresOn }: AzureKey, nowMs: number): boolean {
  return expiresOn !== undefined && expiresOn.getTime() <= nowMs;
}

/** learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation#key-rotation-policy */
function rotationIn(policy: unknown): string {
  const { lifetimeActions } = Object(policy) as { lifetimeActions?: unknown };
  if (!Array.isArray(lifetimeActions)) throw distrusted("it tells no rotation policy");
  const actions = lifetimeActions.map((each) => Object(each) as { trigger?: unknown; action?: unknown });
  const rotate = actions.find(
    ({ action }) => String((Object(action) as { type?: unknown }).type).toLowerCase() === "rotate",
  );
  if (rotate === undefined) return "off";
  const { timeAfterCreate, timeBeforeExpiry } = Object(rotate.trigger) as Record<string, unknown>;
  if (typeof timeAfterCreate === "string") return `every ${period(timeAfterCreate)}`;
  return `${period(String(timeBeforeExpiry))} before a version expires`;
}

/** Of an ISO 8601 duration, as in P90D or P1Y6M. */
function period(duration: string): string {
  const [, ...counts] = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?)?$/.exec(duration) ?? [];
  const units = ["year", "month", "week", "day", "hour"];
  const parts = counts.flatMap((count, at) =>
    count === undefined || Number(count) === 0
      ? []
      : [`${Number(count)} ${units[at]}${Number(count) === 1 ? "" : "s"}`],
  );
  return parts.length === 0 ? "(an unknown time)" : parts.join(" ");
}
