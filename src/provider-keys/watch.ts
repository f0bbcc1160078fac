/**
 * Whether a provider still lets its key be used, by a look (`describe`, which costs no cryptographic operation) every 30 s, and every
 * second while it refuses or does not answer. A provider that refuses its key has answered: from then on every use is refused here, with
 * its reason and without a call, and whoever holds unwrapped keys is told to forget them, until a look finds the key well. One that does
 * not answer changes nothing here: what was refused stays refused.
 *
 * A provider that was caught in a lie is refused as well, whatever the health checks find, until a probe passes: see trust.ts.
 *
 * A denied call has the key looked at before it fails, at most once a second; where the key looks well, what is denied may be one
 * operation or one tenant, and others are doubted: once in the time between looks, and as long as there are denials each time after twice the
 * time before, so that a tenant who goes on being denied does not have everyone's keys loaded anew without end.
 */
import { hasCode, KmsError } from "../errors.ts";
import { type Lie, ProviderLie } from "../provider/distrust.ts";
import type { DataKey, Provider } from "../provider/provider.ts";
import { type KeyTrust, createTrust } from "./trust.ts";
import { createHealthChecks, type KeyHealth } from "./health-checks.ts";
import { probeName, probeWrapping, type Sample } from "./lie-probe.ts";
import type { Time } from "../runtime/time.ts";

export interface ProviderCondition extends KeyHealth {
  /** What the provider was caught in; its key is `denied` then, until a probe passes. */
  readonly lie?: Lie | undefined;
}

export interface ProviderWatch {
  /** The provider that was given, refused while its key is. */
  readonly provider: Provider;
  current(): ProviderCondition;
  /** Looks now. */
  look(): Promise<ProviderCondition>;
  /** Probes now. */
  probe: KeyTrust["probe"];
  /** See trust.ts. */
  doubt: KeyTrust["doubt"];
  /** The last call that a user of the key made, in monotonic milliseconds; undefined before the first. */
  usedAtMs(): number | undefined;
  /** In the order of their subscription, all are told of a change before anyone meets its consequences. */
  subscribe(listener: ProviderListener): void;
  stop(): void;
}

export interface ProviderListener {
  /** The condition is another. */
  changed?(condition: ProviderCondition, provider: Provider): void;
  /** A call was denied although the key looks well: so may be others. */
  denied?(provider: Provider): void;
}

export interface WatchOptions {
  provider: Provider;
  intervalMs?: number;
  /** Between looks while the provider refuses or does not answer. */
  retryMs?: number;
  /** Time between probes of a provider that was caught in a lie, in milliseconds. */
  reprobeMs?: number;
  /** See trust.ts; `tenantId` is that of the last call. By default one as that tenant, of all that the provider does. */
  probe?: (signal: AbortSignal, tenantId: string | undefined) => Promise<void>;
  /** Whether the key is a tenant's own: its failures are the tenant's affair, and say so. */
  tenantsOwn?: boolean;
  time: Time;
  /** In [0, 1). */
  random?: () => number;
}

/** Between doubts: as long as a key is cached, by default. */
const longestDoubtMs = 3_600_000;

/** Looks once before it resolves. */
export async function watchProvider(options: WatchOptions): Promise<ProviderWatch> {
  const { provider, intervalMs = 30_000, retryMs = 1_000, time, random = Math.random } = options;
  const { reprobeMs = 10_000, probe = (signal, tenantId = probeName) => probeWrapping(provider, tenantId, signal) } =
    options;
  const listeners: ProviderListener[] = [];
  let told: ProviderCondition | undefined;
  let used: { atMs: number; tenantId: string | undefined } | undefined;
  const isDoubtDue = doubts(intervalMs, time);
  const checks = createHealthChecks({ provider, intervalMs, retryMs, time, random, checked: tell });
  const trust = createTrust({
    probe: (signal) => probe(signal, used?.tenantId),
    changed: tell,
    time,
    retryMs: reprobeMs,
  });

  function current(): ProviderCondition {
    return withLie(checks.last()!, trust);
  }

  function tell(): void {
    const before = told;
    const next = current();
    told = next;
    if (before?.condition === next.condition && before.detail === next.detail) return;
    for (const listener of listeners) listener.changed?.(next, provider);
  }

  async function look(): Promise<ProviderCondition> {
    await checks.check();
    return current();
  }

  /** Ends before whoever was denied hears of it. */
  async function suspect(): Promise<void> {
    await checks.recheck();
    if (current().condition !== "answering" || !isDoubtDue()) return;
    for (const listener of listeners) listener.denied?.(provider);
  }

  const allowed: Allowed = async (context, call, overwrite) => {
    const before = current();
    if (before.condition === "denied") throw refusal(before);
    used = { atMs: time.monotonicMs(), tenantId: context.tenant_id ?? used?.tenantId };
    let answer: Awaited<ReturnType<typeof call>>;
    try {
      answer = await call();
    } catch (error) {
      if (error instanceof ProviderLie) trust.accuse(error);
      else if (hasCode(error, "PROVIDER_DENIED")) await suspect();
      throw error;
    }
    if (trust.caught() === undefined) return answer;
    overwrite(answer); // caught while this call was under way
    throw refusal(current());
  };

  await look();
  return {
    provider: guarded(provider, options.tenantsOwn === true ? marked(allowed) : allowed),
    current,
    look,
    probe: trust.probe,
    doubt: trust.doubt,
    usedAtMs: () => used?.atMs,
    subscribe(listener) {
      listeners.push(listener);
    },
    stop() {
      checks.stop();
      trust.stop();
    },
  };
}

/** Marks what a tenant's own key fails with. */
function marked(allowed: Allowed): Allowed {
  return async (...call) => {
    try {
      return await allowed(...call);
    } catch (error) {
      if (hasCode(error, "PROVIDER_UNAVAILABLE", "PROVIDER_DENIED")) error.tenantsAffair = true;
      throw error;
    }
  };
}

/** Overrides what a look saw if the provider is not believed: that it is well is its own word. */
function withLie(seen: ProviderCondition, trust: KeyTrust): ProviderCondition {
  const caught = trust.caught();
  if (caught === undefined) return seen;
  const { lie, since, trustedUntil } = caught;
  const last =
    trustedUntil === undefined ? "no probe passed before" : `a probe last passed at ${trustedUntil.toISOString()}`;
  return {
    ...seen,
    condition: "denied",
    detail: `not to be trusted: ${lie.what}`,
    advice: `${lie.advice} Here ${last}.`,
    since,
    lie: lie.lie,
  };
}

function refusal({ detail, advice, lie }: ProviderCondition): KmsError {
  const what = lie === undefined ? `refuses its key: ${detail}` : `is ${detail}`;
  return new KmsError("PROVIDER_DENIED", `the provider ${what}`, { advice });
}

/** Says when others may be doubted, and counts that as a doubt: see the head of this file. */
function doubts(intervalMs: number, time: Time): () => boolean {
  let doubtedAtMs = Number.NEGATIVE_INFINITY;
  let restMs = intervalMs;
  return () => {
    const sinceMs = time.monotonicMs() - doubtedAtMs;
    if (sinceMs < restMs) return false;
    restMs = sinceMs < 2 * restMs ? Math.min(2 * restMs, longestDoubtMs) : intervalMs;
    doubtedAtMs = time.monotonicMs();
    return true;
  };
}

/** Makes a call on the key where that is allowed. `overwrite` is for an answer that is not to be used. */
type Allowed = <T>(context: Sample["context"], call: () => Promise<T>, overwrite: (answer: T) => void) => Promise<T>;

/** The provider, with every use of its key in `allowed`. */
function guarded(provider: Provider, allowed: Allowed): Provider {
  const overwriteKey = ({ plaintext }: DataKey) => void plaintext.fill(0);
  const overwrite = (plaintext: Uint8Array) => void plaintext.fill(0);
  return {
    name: provider.name,
    keyId: provider.keyId,
    get region() {
      return provider.region;
    },
    wrapsForAnyone: provider.wrapsForAnyone,
    generateDataKey: (context, signal) =>
      allowed(context, () => provider.generateDataKey(context, signal), overwriteKey),
    encrypt: (plaintext, context, signal) =>
      allowed(
        context,
        () => provider.encrypt(plaintext, context, signal),
        () => {},
      ),
    decrypt: (wrapped, context, signal) =>
      allowed(context, () => provider.decrypt(wrapped, context, signal), overwrite),
    tampered: (wrapped) => provider.tampered(wrapped),
    describe: (signal) => provider.describe(signal),
    inspect: (signal) => provider.inspect(signal),
    credential: () => provider.credential?.(),
    close: () => provider.close(),
  };
}
