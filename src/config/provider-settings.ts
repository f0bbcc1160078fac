/** The settings of a provider from its values; a provider is a line here, as it is in provider/registry.ts. What it cannot do without is a problem. */
import type { ProviderSettings } from "../provider/registry.ts";
import { isWrong, type Problem } from "./problem.ts";
import type { ProviderSettingName, Values } from "./known-settings.ts";

type Name = ProviderSettings["name"];
type SettingsOf<N extends Name> = Extract<ProviderSettings, { name: N }>;

export type ProviderValues = <N extends ProviderSettingName>(name: N) => Values[N];

export interface ProviderSource {
  value: ProviderValues;
  /** As the operator knows a setting. */
  named(name: ProviderSettingName): string;
  absolute(path: string): string;
  /** Whether the groups of files may have rights to them. */
  groupReadable: boolean;
  problems: Problem[];
}

export function providerOf(name: Name, source: ProviderSource): ProviderSettings {
  const { value, absolute } = source;
  const path = (
    setting:
      | "azure.cacert"
      | "fluo.kms.local.master-key-file"
      | "gcp.kms.credentials-file"
      | "vault.cacert"
      | "vault.token-file"
      | "vault.approle.secret-id-file",
  ) => {
    const file = value(setting);
    return file === undefined ? undefined : absolute(file);
  };
  const settingsOf: { [N in Name]: () => SettingsOf<N> } = {
    local: () => {
      const masterKeyFile = path("fluo.kms.local.master-key-file");
      if (masterKeyFile === undefined) return { name: "local" };
      return { name: "local", masterKeyFile, ...(source.groupReadable && { groupReadable: true }) };
    },
    aws: () => ({
      name: "aws",
      places: [
        {
          region: value("aws.kms.region"),
          masterKeyId: needed(source, "aws.kms.master-key-id", "the key's id, ARN or alias"),
          endpoint: value("aws.kms.endpoint"),
        },
        ...(value("aws.kms.failover") ?? []),
      ],
      profile: value("aws.kms.profile"),
    }),
    azure: () => ({
      name: "azure",
      key: needed(source, "azure.key-vault.key", "the key's identifier, https://VAULT.vault.azure.net/keys/KEY"),
      caFile: path("azure.cacert"),
      instanceDiscovery: value("azure.instance-discovery"),
      verifyChallengeResource: value("azure.verify-challenge-resource"),
    }),
    gcp: () => ({
      name: "gcp",
      key: needed(source, "gcp.kms.key", "the key's resource name"),
      endpoint: value("gcp.kms.endpoint"),
      credentialsFile: path("gcp.kms.credentials-file"),
    }),
    vault: () => ({
      name: "vault",
      addr: needed(source, "vault.addr", "the server's URL"),
      namespace: value("vault.namespace"),
      caFile: path("vault.cacert"),
      mount: value("vault.transit.mount"),
      key: needed(source, "vault.transit.key", "the key's name"),
      login: vaultLogin(source, path),
    }),
  };
  return settingsOf[name]();
}

function vaultLogin(
  source: ProviderSource,
  path: (setting: "vault.token-file" | "vault.approle.secret-id-file") => string | undefined,
): SettingsOf<"vault">["login"] {
  const { value } = source;
  const method = value("vault.auth");
  if (method === "token") {
    const [token, tokenFile] = [value("vault.token"), path("vault.token-file")];
    needOne(source, ["vault.token", "vault.token-file"]);
    atMostOne(source, ["vault.token", "vault.token-file"]);
    return { method, token, tokenFile };
  }
  if (method === "approle") {
    atMostOne(source, ["vault.approle.secret-id", "vault.approle.secret-id-file"]); // a role may do without
    return {
      method,
      mount: value("vault.approle.mount"),
      roleId: needed(source, "vault.approle.role-id", "the role's id"),
      secretId: value("vault.approle.secret-id"),
      secretIdFile: path("vault.approle.secret-id-file"),
    };
  }
  return {
    method,
    mount: value("vault.kubernetes.mount"),
    role: needed(source, "vault.kubernetes.role", "the role's name"),
    tokenFile: source.absolute(value("vault.kubernetes.token-file")),
  };
}

type Pair = [ProviderSettingName, ProviderSettingName];

type Text = {
  [N in ProviderSettingName]: string | undefined extends Values[N] ? N : never;
}[ProviderSettingName];

function needed({ value, named, problems }: ProviderSource, name: Text, what: string): string {
  const text = value(name) as string | undefined;
  if (text === undefined && !isWrong(problems, named(name))) {
    problems.push({ name: named(name), description: `is missing; set it to ${what}` });
  }
  return text ?? "";
}

function atMostOne({ value, named, problems }: ProviderSource, [one, other]: Pair): void {
  if (value(one) === undefined || value(other) === undefined) return;
  problems.push({ name: named(one), description: `is set, and so is ${named(other)}; set one of the two` });
}

function needOne({ value, named, problems }: ProviderSource, [one, other]: Pair): void {
  if ([one, other].some((name) => value(name) !== undefined || isWrong(problems, named(name)))) return;
  problems.push({ name: named(one), description: `is missing, and so is ${named(other)}; set one of the two` });
}
