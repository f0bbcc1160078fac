/**
 * A symmetric key of Google Cloud KMS, over its REST API. The context is its additional authenticated data. Of a key in hardware or
 * elsewhere Cloud KMS takes 8 KiB of plaintext and context together, which those of this service are far below.
 */
import { readFile } from "node:fs/promises";
import { invalidField, KmsError } from "../../errors.ts";
import { withDeadline } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import type { Provider } from "../provider.ts";
import { gcpCalls } from "./client.ts";
import { newToken } from "./credentials.ts";
import { connectGcp } from "./http.ts";
import { parseKey } from "./key.ts";
import { gcpProvider } from "./provider.ts";
import { unfit } from "./report.ts";
import type { GcpSettings } from "./settings.ts";
import { gcpTokens } from "./tokens.ts";

const openTimeoutMs = 10_000;
const googleUniverse = "googleapis.com";
const googleEndpoint = `https://cloudkms.${googleUniverse}`;

/**
 * Throws INVALID_ARGUMENT for settings or a key that cannot be used, PROVIDER_DENIED where there are no credentials, or the key is missing
 * or out of their reach, and PROVIDER_UNAVAILABLE where Google does not answer.
 */
export async function openGcp(
  { key: name, endpoint, credentialsFile: file }: GcpSettings,
  time: Time,
): Promise<Provider> {
  const key = parseKey(name);
  if (file !== undefined) await checkFile(file);
  const connection = connectGcp(endpoint ?? googleEndpoint);
  const universe = endpoint === undefined ? googleUniverse : undefined;
  const source = { file, project: key.project, universe };
  const tokens = gcpTokens((signal) => newToken(source, time, signal), time);
  const close = async () => {
    tokens.close();
    connection.close();
  };
  const calls = gcpCalls({ connection, tokens, key, time });
  try {
    const reading = await withDeadline(time, openTimeoutMs, late, (signal) => calls.read(signal));
    const wrong = unfit(key, reading.key);
    if (wrong !== undefined) throw wrong;
    return gcpProvider({ key, keyId: reading.key.name, calls, credential: tokens.credential, time, close });
  } catch (error) {
    await close();
    throw error;
  }
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
