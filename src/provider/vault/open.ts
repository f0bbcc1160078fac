/**
 * A transit key of HashiCorp Vault or OpenBao, over HTTP. The key's name is its identity: a key in another Vault that one moves to needs
 * another name.
 */
import { withDeadline } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import type { Provider } from "../provider.ts";
import { transit } from "./client.ts";
import { missingKey } from "./errors.ts";
import { connectVault, lateAnswer } from "./http.ts";
import { unfit } from "./key.ts";
import { checkLogin } from "./login.ts";
import { checkNames } from "./paths.ts";
import { vaultProvider } from "./provider.ts";
import { vaultSession } from "./session.ts";
import type { VaultSettings } from "./settings.ts";

const openTimeoutMs = 10_000;

/**
 * Throws INVALID_ARGUMENT for settings or a key that cannot be used, PROVIDER_DENIED for a key that is missing or out of reach of the
 * token, and PROVIDER_UNAVAILABLE where Vault does not answer.
 */
export async function openVault(settings: VaultSettings, time: Time): Promise<Provider> {
  checkNames(settings);
  await checkLogin(settings.login);
  const connection = await connectVault(settings);
  const session = vaultSession(connection, settings.login, time);
  const close = async () => {
    await session.close();
    connection.close();
  };
  const calls = transit(session, settings, time);
  try {
    const { key } = await withDeadline(time, openTimeoutMs, lateAnswer, (signal) => calls.read(signal));
    if (key === undefined) throw missingKey(settings);
    const wrong = unfit(settings, key);
    if (wrong !== undefined) throw wrong;
    return vaultProvider({ settings, calls, key, credential: session.credential, close });
  } catch (error) {
    await close();
    throw error;
  }
}
