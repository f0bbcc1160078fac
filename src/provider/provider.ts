/**
 * What a provider must do: keep one provider key and wrap small secrets under it.
 * test/support/provider-contract.ts is this comment as code, and every provider passes it.
 * An aborted `signal` ends a call with `cancelled(signal)` of runtime/deadline.ts.
 */
import type { ProviderContext } from "../crypto/encryption-context.ts";

/** The longest plaintext that `encrypt` takes, in bytes (AWS KMS's limit). */
export const maxWrappedPlaintextBytes = 4096;

export interface ProviderKeyState {
  /** `disabled` covers every state in which the provider refuses the key. */
  state: "enabled" | "disabled";
  /** The provider's own word for the state, for operators. */
  detail: string;
  /** This machine's clock minus the provider's, as exact as the date of its answer: a second. Undefined where the answer has none. */
  clockSkewMs?: number | undefined;
}

/** What an operator wants to know of the key beyond its state. */
export interface ProviderKeyReport extends ProviderKeyState {
  /** How the provider rotates the key by itself, as in "every 365 days" or "off"; undefined where it does not say. */
  rotation: string | undefined;
  /** How to have the provider rotate the key, with the command that does it; undefined if it does, or cannot. */
  rotationAdvice?: string | undefined;
  /** Other changes to make, a sentence each with the command or policy statement that does it; empty if there are none. */
  advice: readonly string[];
}

export interface Provider {
  /** The name in `fluo.kms.provider`. */
  readonly name: string;
  /**
   * Names the provider key in key records, so that a later reader knows which key wrapped them: the same for every place that serves the
   * key, and never that of another key.
   */
  readonly keyId: string;
  /** Where the key is served, for a provider with several such places: a cloud's region. */
  readonly region?: string | undefined;
  /**
   * True where whoever knows a public key can wrap: that a key opens then proves neither that this service wrapped it nor that it is
   * secret. So the store key is pinned by its SHA-256, see keys/store-key/unlock.ts.
   */
  readonly wrapsForAnyone?: boolean | undefined;

  /** 32 fresh random bytes and the same wrapped under `context`. The caller owns, and overwrites, `plaintext`. */
  generateDataKey(context: ProviderContext, signal?: AbortSignal): Promise<DataKey>;

  /**
   * Wraps 1 to 4096 bytes. `context` is authenticated: `decrypt` with any other context must throw CIPHERTEXT_REJECTED.
   * Throws INVALID_ARGUMENT for any other length, PROVIDER_UNAVAILABLE for what may pass, PROVIDER_DENIED for what will not.
   */
  encrypt(plaintext: Uint8Array, context: ProviderContext, signal?: AbortSignal): Promise<Uint8Array>;

  /**
   * Opens what `encrypt` or `generateDataKey` wrapped. The caller owns, and overwrites, the result.
   * Throws CIPHERTEXT_REJECTED for anything else, and for what another provider key wrapped.
   */
  decrypt(wrapped: Uint8Array, context: ProviderContext, signal?: AbortSignal): Promise<Uint8Array>;

  /**
   * A copy of a wrapped key with one bit flipped, in a form that still is sent to the provider, to try whether it notices:
   * `decrypt` must throw CIPHERTEXT_REJECTED for it.
   */
  tampered(wrapped: Uint8Array): Uint8Array;

  /** The provider key's state, by a call that costs no cryptographic operation at the provider. */
  describe(signal?: AbortSignal): Promise<ProviderKeyState>;

  /** `describe` and what else the provider tells of the key, for Validate alone: it may take several calls. None is cryptographic. */
  inspect(signal?: AbortSignal): Promise<ProviderKeyReport>;

  /** Returns the credential by which the provider is called now; undefined if it is not known, or never ends. */
  credential?(): ProviderCredential | undefined;

  close(): Promise<void>;
}

export interface ProviderCredential {
  /** Time at which this service got it, or saw it first. */
  since: Date;
  /** Time at which it ends unless it is renewed. */
  until: Date;
}

export interface DataKey {
  plaintext: Uint8Array;
  wrapped: Uint8Array;
}

/** One provider for each region that serves the same key, in order of preference. Most have one. */
export type Regions = readonly [Provider, ...Provider[]];
