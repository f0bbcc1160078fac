/**
 * A transit key of HashiCorp Vault or OpenBao, over HTTP. A data key is made here and wrapped by `encrypt`, as Vault's `datakey` takes no
 * associated data. Wrapped form: wrapped.ts.
 *
 * An encrypt to a key that was deleted makes a new one, for a token with `create` on its path. So the policy grants `update` alone, and
 * here a key whose versions were made at other times than those known is refused, as soon as a describe or a lower version shows it.
 * The key's name is its identity: a key in another Vault that one moves to needs another name.
 */
import { randomBytes } from "node:crypto";
import type { ProviderContext } from "../../crypto/encryption-context.ts";
import { ciphertextRejected, hasCode, invalidField, KmsError } from "../../errors.ts";
import { refuseAborted, withDeadline } from "../../runtime/deadline.ts";
import { maxWrappedPlaintextBytes, type Provider, type ProviderKeyState } from "../provider.ts";
import { missingKey } from "./errors.ts";
import { connectVault, lateAnswer } from "./http.ts";
import { capabilityAdvice, isSameKey, keyAdvice, rotationOf, stateOf, unfit, type VaultKey } from "./key.ts";
import { checkLogin } from "./login.ts";
import { missingKeyAdvice, policyAdvice } from "./advice.ts";
import { checkNames, pathsOf } from "./paths.ts";
import { vaultSession } from "./session.ts";
import type { VaultSettings } from "./settings.ts";
import { type KeyReading, transit } from "./client.ts";
import { wrappedVersion } from "./wrapped.ts";

const dataKeyBytes = 32;
const openTimeoutMs = 10_000;

/**
 * Throws INVALID_ARGUMENT for settings or a key that cannot be used, PROVIDER_DENIED for a key that is missing or out of reach of the
 * token, and PROVIDER_UNAVAILABLE where Vault does not answer.
 */
export async function openVault(settings: VaultSettings): Promise<Provider> {
  checkNames(settings);
  await checkLogin(settings.login);
  const connection = await connectVault(settings);
  const session = vaultSession(connection, settings.login);
  const close = async () => {
    await session.close();
    connection.close();
  };
  const calls = transit(session, settings);
  try {
    const { key } = await withDeadline(openTimeoutMs, lateAnswer, (signal) => calls.read(signal));
    if (key === undefined) throw missingKey(settings);
    const wrong = unfit(settings, key);
    if (wrong !== undefined) throw wrong;
    return vaultProvider({ settings, calls, key, close });
  } catch (error) {
    await close();
    throw error;
  }
}

interface Opened {
  settings: VaultSettings;
  calls: ReturnType<typeof transit>;
  /** As it was when it was opened. */
  key: VaultKey;
  close(): Promise<void>;
}

function vaultProvider({ settings, calls, key, close }: Opened): Provider {
  const { keys: path } = pathsOf(settings);
  let known = key;
  let replaced = false;

  async function read(signal?: AbortSignal): Promise<KeyReading> {
    const reading = await calls.read(signal);
    if (reading.key !== undefined) {
      replaced = !isSameKey(known, reading.key);
      if (!replaced) known = reading.key;
    }
    return reading;
  }

  function stateIn({ key, clockSkewMs }: KeyReading): ProviderKeyState {
    const disabled = (detail: string) => ({ state: "disabled", detail, clockSkewMs }) as const;
    if (key === undefined) return disabled("missing");
    if (replaced) return disabled("replaced by another of its name");
    if (unfit(settings, key) !== undefined) return disabled(`of type ${key.type}`);
    return { ...stateOf(key), clockSkewMs };
  }

  async function wrap(plaintext: Uint8Array, context: ProviderContext, signal?: AbortSignal): Promise<Uint8Array> {
    if (replaced) throw replacedKey();
    const { latestVersion } = known;
    const { wrapped, version } = await calls
      .encrypt(plaintext, context, signal)
      .catch((error) => explained(error, signal));
    // By a replica that lags behind, or by a key that was made just now: the key's own dates tell.
    if (version < latestVersion) await read(signal);
    if (replaced) throw replacedKey();
    return wrapped;
  }

  /** To a token without `create` Vault denies an encrypt to a missing key as it denies a policy: whether it is missing, reading it tells. */
  async function explained(error: unknown, signal?: AbortSignal): Promise<never> {
    if (!hasCode(error, "PROVIDER_DENIED")) throw error;
    const reading = await read(signal).catch(() => undefined);
    throw reading !== undefined && reading.key === undefined ? missingKey(settings, error) : error;
  }

  function replacedKey(): KmsError {
    return new KmsError("PROVIDER_DENIED", `provider vault has another key at ${path} than before`, {
      advice: replacedAdvice(),
    });
  }

  function replacedAdvice(): string {
    return `The key ${path} was replaced by another: delete that one and restore the former. ${missingKeyAdvice(settings)} ${policyAdvice(settings)}`;
  }

  return {
    name: "vault",
    keyId: settings.namespace === undefined ? path : `${settings.namespace}/${path}`,

    async generateDataKey(context, signal) {
      refuseAborted(signal);
      const plaintext = randomBytes(dataKeyBytes);
      try {
        return { plaintext, wrapped: await wrap(plaintext, context, signal) };
      } catch (error) {
        plaintext.fill(0);
        throw error;
      }
    },

    async encrypt(plaintext, context, signal) {
      refuseAborted(signal);
      if (plaintext.length < 1 || plaintext.length > maxWrappedPlaintextBytes) {
        throw invalidField("plaintext", `must be 1 to ${maxWrappedPlaintextBytes} bytes, not ${plaintext.length}`);
      }
      return wrap(plaintext, context, signal);
    },

    async decrypt(wrapped, context, signal) {
      refuseAborted(signal);
      if (wrappedVersion(wrapped) === undefined) throw ciphertextRejected();
      return calls.decrypt(wrapped, context, signal);
    },

    async describe(signal) {
      return stateIn(await read(signal));
    },

    async inspect(signal) {
      const reading = await read(signal);
      const capabilities = await calls.capabilities(signal);
      return {
        ...stateIn(reading),
        rotation: reading.key && rotationOf(reading.key),
        advice: [
          ...(reading.key === undefined ? [missingKeyAdvice(settings)] : keyAdvice(settings, reading.key)),
          ...(replaced ? [replacedAdvice()] : []),
          ...(capabilities === undefined ? [] : capabilityAdvice(settings, capabilities)),
        ],
      };
    },

    close,
  };
}
