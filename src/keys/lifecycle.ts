/** What an administrator, and time, do to a key: see states.ts for the states, and destruction/destroy.ts for its end. */
import { hasCode, type KmsErrorCode } from "../errors.ts";
import { step } from "../failpoints.ts";
import type { Time } from "../runtime/time.ts";
import type { Attribution, StateAction } from "../store/audit-store.ts";
import type { KeyRecord } from "../store/key-record.ts";
import type { Store } from "../store/store.ts";
import { createDestruction, type Destruction, type DestructionOptions } from "./destruction/destroy.ts";
import type { Keyring } from "./keyring.ts";
import { type ChangeRequest, recordChanges } from "./record-changes.ts";
import { compromised, disabled, enabled } from "./states.ts";

/** Each throws NOT_FOUND for what is not a key of the tenant, KEY_UNUSABLE where the key's state forbids it, CONFLICT after a lost race. */
export interface Lifecycle extends Destruction {
  disable(request: ChangeRequest): Promise<KeyRecord>;
  /** Back to where it was, or RETIRED if another key is ACTIVE. */
  enable(request: ChangeRequest): Promise<KeyRecord>;
  /**
   * An ACTIVE key is replaced in the same transaction; `replacement` is undefined where none was needed, or where the provider could not
   * make one in 2 s, or before the caller hung up: then the tenant has no ACTIVE key until it is rotated. The key is marked all the same.
   */
  markCompromised(request: ChangeRequest, signal?: AbortSignal): Promise<CompromisedKey>;
}

export interface CompromisedKey {
  record: KeyRecord;
  replacement: KeyRecord | undefined;
}

export interface LifecycleOptions extends Pick<DestructionOptions, "witness" | "needsTwo"> {
  store: Store;
  /** Makes what takes the place of a compromised key, which vouches for no other: no log names it. */
  keyring: Pick<Keyring, "renew" | "invalidate" | "noticed">;
  time: Time;
}

/** How long the mark waits for a replacement. */
export const replacementMs = 2_000;

export function createLifecycle(options: LifecycleOptions): Lifecycle {
  const { store, keyring, time } = options;
  const changes = recordChanges(options);
  const { find, replace } = changes;

  async function change(request: ChangeRequest, action: StateAction, next: (present: KeyRecord) => KeyRecord) {
    const present = await find(request);
    return replace(present, next(present), { ...request.by, action });
  }

  async function tryEnable(request: ChangeRequest): Promise<KeyRecord> {
    const present = await find(request);
    const active = await store.active(present.tenantId, present.purpose);
    return replace(present, enabled(present, active !== undefined, time.now()), { ...request.by, action: "enable" });
  }

  async function replaceCompromised(present: KeyRecord, by: Attribution, signal?: AbortSignal) {
    const { tenantId, purpose, keyId } = present;
    const wish = { tenantId, purpose, expect: { active: keyId }, outgoing: "COMPROMISED", by } as const;
    const tooLate = new AbortController();
    const timer = time.after(replacementMs, () => tooLate.abort());
    const replacement = await keyring
      .renew(wish, signal ? AbortSignal.any([signal, tooLate.signal]) : tooLate.signal)
      .catch((error) => {
        keyring.invalidate(tenantId, keyId); // it may have been stored nevertheless
        throw error;
      })
      .finally(() => time.clear(timer));
    step("state.changed");
    return { record: await find({ tenantId, keyId }), replacement };
  }

  return {
    disable: (request) => change(request, "disable", disabled),

    async enable(request) {
      try {
        return await tryEnable(request);
      } catch (error) {
        // Another key became ACTIVE in between, or this one was changed: once more, by what is stored now.
        if (hasCode(error, "CONFLICT")) return tryEnable(request);
        throw error;
      }
    },

    async markCompromised(request, signal) {
      const present = await find(request);
      if (present.state === "ACTIVE") {
        try {
          return await replaceCompromised(present, request.by, signal);
        } catch (error) {
          if (!hasCode(error, ...noReplacement)) throw error;
        }
      }
      const marked = compromised(present, time.now());
      if (marked === present) return { record: present, replacement: await replacementOf(store, present) };
      const record = await replace(present, marked, { ...request.by, action: "mark_compromised" });
      return { record, replacement: undefined };
    },

    ...createDestruction({ ...options, changes }),
  };
}

/** The provider makes no key now, or not in the caller's time or ours. The mark must not wait for it. */
const noReplacement: readonly KmsErrorCode[] = [
  "PROVIDER_UNAVAILABLE",
  "PROVIDER_DENIED",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
];

/** For a call that is tried again: what took the place of a key that was ACTIVE when it was marked. */
async function replacementOf(store: Store, marked: KeyRecord): Promise<KeyRecord | undefined> {
  const { tenantId, purpose, state, previousState } = marked;
  return state === "COMPROMISED" && previousState === "ACTIVE" ? store.active(tenantId, purpose) : undefined;
}
