/**
 * A transit key, as a Provider. A data key is made here and wrapped by `encrypt`, as Vault's `datakey` takes no
 * associated data.
 *
 * An encrypt to a key that was deleted makes a new one, for a token with `create` on its path. So the policy grants
 * `update` alone, and known-key.ts refuses a key whose versions were made at other times than those known, as soon as a
 * describe or a lower version shows it.
 */
import type { ProviderContext } from "../../crypto/encryption-context.ts";
import { ciphertextRejected, hasCode } from "../../errors.ts";
import { refuseAborted } from "../../runtime/deadline.ts";
import type { Provider } from "../provider.ts";
import { checkPlaintext, freshDataKey } from "../secrets.ts";
import type { Transit } from "./client.ts";
import { missingKey } from "./errors.ts";
import type { VaultKey } from "./key.ts";
import { knownKey } from "./known-key.ts";
import { pathsOf } from "./paths.ts";
import { capabilityAdvice } from "./report.ts";
import type { VaultSettings } from "./settings.ts";
import { withOneLetterChanged, wrappedVersion } from "./wrapped.ts";

export interface OpenedKey {
  settings: VaultSettings;
  calls: Transit;
  /** The key as it was when it was opened. */
  key: VaultKey;
  credential: NonNullable<Provider["credential"]>;
  close(): Promise<void>;
}

export function vaultProvider({ settings, calls, key, credential, close }: OpenedKey): Provider {
  const { keys: path } = pathsOf(settings);
  const known = knownKey(settings, calls, key);

  async function wrap(plaintext: Uint8Array, context: ProviderContext, signal?: AbortSignal): Promise<Uint8Array> {
    known.refuseReplaced();
    const latestVersion = known.latestVersion();
    const { wrapped, version } = await calls
      .encrypt(plaintext, context, signal)
      .catch((error) => explained(error, signal));
    // By a replica that lags behind, or by a key that was made just now: the key's own dates tell.
    if (version < latestVersion) await known.read(signal);
    known.refuseReplaced();
    return wrapped;
  }

  /**
   * To a token without `create` Vault denies an encrypt to a missing key as it denies a policy: whether it is missing,
   * reading it tells.
   */
  async function explained(error: unknown, signal?: AbortSignal): Promise<never> {
    if (!hasCode(error, "PROVIDER_DENIED")) throw error;
    const reading = await known.read(signal).catch(() => undefined);
    throw reading !== undefined && reading.key === undefined ? missingKey(settings, error) : error;
  }

  return {
    name: "vault",
    keyId: settings.namespace === undefined ? path : `${settings.namespace}/${path}`,

    async generateDataKey(context, signal) {
      refuseAborted(signal);
      return freshDataKey((plaintext) => wrap(plaintext, context, signal));
    },

    async encrypt(plaintext, context, signal) {
      refuseAborted(signal);
      checkPlaintext(plaintext);
      return wrap(plaintext, context, signal);
    },

    async decrypt(wrapped, context, signal) {
      refuseAborted(signal);
      if (wrappedVersion(wrapped) === undefined) throw ciphertextRejected();
      return calls.decrypt(wrapped, context, signal);
    },

    tampered: withOneLetterChanged,

    async describe(signal) {
      return known.stateIn(await known.read(signal));
    },

    async inspect(signal) {
      const report = known.reportOf(await known.read(signal));
      const capabilities = await calls.capabilities(signal);
      const onToken = capabilities === undefined ? [] : capabilityAdvice(settings, capabilities);
      return { ...report, advice: [...report.advice, ...onToken] };
    },

    credential,
    close,
  };
}
