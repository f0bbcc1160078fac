/**
 * Probes whether a provider key still does what it must. Data keys must be new and whole. A wrapped key must be opened to what was wrapped,
 * and refused under another context or with a bit flipped. All these calls go through provider/answer-checks.ts, which finds what a single
 * answer shows.
 *
 * A lie throws a ProviderLie. Any other error shows nothing: the provider did not answer, or not to this.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { hasCode, KmsError } from "../errors.ts";
import { type Lie, ProviderLie } from "../provider/distrust.ts";
import type { DataKey, Provider } from "../provider/provider.ts";
import { dataKeyBytes } from "../provider/secrets.ts";

/** A wrapped key as it is stored, and the context under which it opens. */
export interface Sample {
  wrapped: Uint8Array;
  context: Readonly<Record<string, string>>;
}

/** Name of the tenant in the contexts of probes. Their `key_id` begins with it too, so that the provider's own log tells them apart. */
export const probeName = "fluo-kms-probe";

/**
 * Seven calls: two data keys and an encryption; one of each opened, and two that must be refused. `tenantId` is the tenant in their
 * context, for a provider whose policy looks at it.
 */
export async function probeWrapping(provider: Provider, tenantId: string, signal?: AbortSignal): Promise<void> {
  const context = contextOf(tenantId);
  const secrets: Uint8Array[] = [];
  const kept = ({ plaintext, wrapped }: DataKey) => {
    secrets.push(plaintext);
    return { plaintext, wrapped, context };
  };
  const encrypted = async () => {
    const plaintext = randomBytes(dataKeyBytes);
    secrets.push(plaintext);
    return { plaintext, wrapped: await provider.encrypt(plaintext, context, signal), context };
  };
  try {
    const [first, second, third] = await all([
      provider.generateDataKey(context, signal).then(kept),
      provider.generateDataKey(context, signal).then(kept),
      encrypted(),
    ]);
    await all([
      mustOpen(provider, first!, signal),
      mustOpen(provider, third!, signal),
      mustRefuseOtherContext(provider, second!, signal),
      mustRefuseTampered(provider, third!, signal),
    ]);
  } finally {
    for (const secret of secrets) secret.fill(0);
  }
}

/** Three calls, for a provider key that opens what it wrapped and may wrap nothing more. */
export async function probeOpening(provider: Provider, sample: Sample, signal?: AbortSignal): Promise<void> {
  await all([
    provider.decrypt(sample.wrapped, sample.context, signal).then((secret) => void secret.fill(0)),
    mustRefuseOtherContext(provider, sample, signal),
    mustRefuseTampered(provider, sample, signal),
  ]);
}

async function mustOpen(provider: Provider, made: Sample & DataKey, signal?: AbortSignal): Promise<void> {
  const opened = await provider.decrypt(made.wrapped, made.context, signal).catch((error) => {
    if (!hasCode(error, "CIPHERTEXT_REJECTED")) throw error;
    // A replica that lags behind may not know the newest version of its key.
    throw new KmsError("PROVIDER_UNAVAILABLE", "the provider does not open what it just wrapped", { cause: error });
  });
  const isSame = opened.length === made.plaintext.length && timingSafeEqual(opened, made.plaintext);
  opened.fill(0);
  if (!isSame) throw new ProviderLie("other-bytes");
}

/** Another `key_id`: a policy may let no other tenant or purpose through, and then its refusal would prove nothing. */
function mustRefuseOtherContext(provider: Provider, { wrapped, context }: Sample, signal?: AbortSignal): Promise<void> {
  const other = { ...context, key_id: newProbeId() };
  return mustRefuse("wrong-context", () => provider.decrypt(wrapped, other, signal));
}

function mustRefuseTampered(provider: Provider, { wrapped, context }: Sample, signal?: AbortSignal): Promise<void> {
  return mustRefuse("tampered-ciphertext", () => provider.decrypt(provider.tampered(wrapped), context, signal));
}

async function mustRefuse(lie: Lie, decrypt: () => Promise<Uint8Array>): Promise<void> {
  let opened: Uint8Array;
  try {
    opened = await decrypt();
  } catch (error) {
    if (error instanceof ProviderLie && error.lie === "other-bytes") throw new ProviderLie(lie); // it opened
    if (hasCode(error, "CIPHERTEXT_REJECTED")) return;
    throw error;
  }
  opened.fill(0);
  throw new ProviderLie(lie);
}

function contextOf(tenantId: string): Sample["context"] {
  return { tenant_id: tenantId, purpose: "data", key_id: newProbeId() };
}

function newProbeId(): string {
  return `${probeName}-${randomBytes(16).toString("hex")}`;
}

/** Resolves with all results. Throws once all calls have ended, a lie before any other error. */
async function all<T>(calls: readonly Promise<T>[]): Promise<T[]> {
  const ended = await Promise.allSettled(calls);
  const failures = ended.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  if (failures.length > 0) throw failures.find((error) => error instanceof ProviderLie) ?? failures[0];
  return ended.map((each) => (each as PromiseFulfilledResult<T>).value);
}
