/**
 * A symmetric key of Google Cloud KMS, over its REST API. A data key is made here and wrapped by Encrypt, as Cloud KMS makes none; the
 * context is its additional authenticated data. Wrapped form: wrapped.ts. Of a key in hardware or elsewhere Cloud KMS takes 8 KiB of
 * plaintext and context together, which those of this service are far below.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ProviderContext } from "../../crypto/encryption-context.ts";
import { ciphertextRejected, invalidField, KmsError } from "../../errors.ts";
import { distrusted } from "../distrust.ts";
import { type GcpCalls, gcpCalls, type KeyReading } from "./client.ts";
import { newToken } from "./credentials.ts";
import { connectGcp } from "./http.ts";
import { type GcpKey, parseKey } from "./key.ts";
import { reportOf, stateOf, unfit } from "./report.ts";
import type { GcpSettings } from "./settings.ts";
import { gcpTokens } from "./tokens.ts";
import { unwrapped, wrapped } from "./wrapped.ts";
import { refuseAborted, withDeadline } from "../../runtime/deadline.ts";
import { maxWrappedPlaintextBytes, type Provider } from "../provider.ts";

const dataKeyBytes = 32;
const openTimeoutMs = 10_000;
const googleUniverse = "googleapis.com";
const googleEndpoint = `https://cloudkms.${googleUniverse}`;

/**
 * Throws INVALID_ARGUMENT for settings or a key that cannot be used, PROVIDER_DENIED where there are no credentials, or the key is missing
 * or out of their reach, and PROVIDER_UNAVAILABLE where Google does not answer.
 */
export async function openGcp({ key: name, endpoint, credentialsFile: file }: GcpSettings): Promise<Provider> {
  const key = parseKey(name);
  if (file !== undefined) await checkFile(file);
  const connection = connectGcp(endpoint ?? googleEndpoint);
  const universe = endpoint === undefined ? googleUniverse : undefined;
  const tokens = gcpTokens((signal) => newToken({ file, project: key.project, universe }, signal));
  const close = async () => {
    tokens.close();
    connection.close();
  };
  const calls = gcpCalls(connection, tokens, key);
  try {
    const reading = await withDeadline(openTimeoutMs, late, (signal) => calls.read(signal));
    const wrong = unfit(key, reading.key);
    if (wrong !== undefined) throw wrong;
    return gcpProvider({ key, keyId: reading.key.name, calls, close });
  } catch (error) {
    await close();
    throw error;
  }
}

interface Opened {
  key: GcpKey;
  keyId: string;
  calls: GcpCalls;
  close(): Promise<void>;
}

function gcpProvider({ key, keyId, calls, close }: Opened): Provider {
  async function wrap(plaintext: Uint8Array, context: ProviderContext, signal?: AbortSignal): Promise<Uint8Array> {
    const ciphertext = await calls.encrypt(plaintext, context, signal);
    const out = wrapped(ciphertext);
    if (out === undefined) throw distrusted(`a ciphertext of ${ciphertext.length} bytes`);
    return out;
  }

  async function read(signal: AbortSignal | undefined): Promise<KeyReading> {
    refuseAborted(signal);
    return calls.read(signal);
  }

  return {
    name: "gcp",
    keyId,

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

    async decrypt(bytes, context, signal) {
      refuseAborted(signal);
      const ciphertext = unwrapped(bytes);
      if (ciphertext === undefined) throw ciphertextRejected();
      return calls.decrypt(ciphertext, context, signal);
    },

    async describe(signal) {
      const { key: seen, clockSkewMs } = await read(signal);
      return stateOf(seen, clockSkewMs);
    },

    async inspect(signal) {
      const { key: seen, clockSkewMs } = await read(signal);
      return reportOf(key, seen, clockSkewMs);
    },

    close,
  };
}

function late(): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", "provider gcp did not answer in time");
}

/** What the library would say of the file names no setting. */
async function checkFile(path: string): Promise<void> {
  const refuse = (what: string) => invalidField("gcp.kms.credentials-file", `${path} ${what}`);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw refuse(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  let type: unknown;
  try {
    type = (JSON.parse(text) as { type?: unknown } | null)?.type;
  } catch {
    throw refuse("is not JSON");
  }
  if (typeof type !== "string") throw refuse("is no credentials file of Google Cloud: it has no type");
}
