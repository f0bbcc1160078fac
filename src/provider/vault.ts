import { KmsError } from "../errors.ts";
import type { Provider } from "./provider.ts";

export type VaultLogin =
  | { method: "token"; token: string | undefined; tokenFile: string | undefined }
  | { method: "approle"; mount: string; roleId: string; secretId: string | undefined; secretIdFile: string | undefined }
  | { method: "kubernetes"; mount: string; role: string; tokenFile: string };
export interface VaultSettings {
  name: "vault";
  addr: string;
  namespace: string | undefined;
  caFile: string | undefined;
  mount: string;
  key: string;
  login: VaultLogin;
}

export async function openVault(_settings: VaultSettings): Promise<Provider> {
  throw new KmsError("UNIMPLEMENTED", "provider vault is not served yet");
}
