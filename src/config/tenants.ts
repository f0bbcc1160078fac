/**
 * Provider keys of tenants that have one of their own: `fluo.kms.tenants.<tenant>.provider-key` gives the name of a provider key, whose
 * settings are those of a provider behind `fluo.kms.provider-keys.<name>.`; or another key of the service's own provider, as that provider
 * names it in full. Both stand in application.properties, in the file that `fluo.kms.tenants.file` names, or in the file of
 * named provider keys (provider-keys-file.ts); a secret may be in the environment.
 */
import { type ProviderSettings, realmOf } from "../provider/registry.ts";
import type { TenantProviderKeySettings } from "../provider-keys/settings.ts";
import { nearestName } from "../encoding/nearest.ts";
import type { Problem } from "./problem.ts";
import { namesIn, type Properties } from "./properties.ts";
import { providerOf, type ProviderValues } from "./provider-settings.ts";
import { allSettings, inFamily, otherName, type ProviderSettingName, type Setting } from "./known-settings.ts";
import { isGiven, readSetting, type Sources } from "./sources.ts";
import { azureKey, gcpKey, type Parser, vaultPath } from "./value.ts";

export interface TenantProviderKeySources extends Omit<Sources, "properties"> {
  /** application.properties, the file of tenants and that of provider keys, as far as they are there. */
  files: readonly Properties[];
  /** Name of the declared key that is the service's second one, and belongs to no tenant. */
  other: { name: string; origin: string } | undefined;
  profile: string;
  /** The service's own provider. */
  own: ProviderSettings;
  absolute(path: string): string;
  groupReadable: boolean;
}

/** Of the settings of a provider key of tenants. */
export const keysPrefix = "fluo.kms.provider-keys.";
export const tenantPattern = "[a-z0-9][a-z0-9._-]{0,62}";
export const keyNamePattern = "[a-z0-9][a-z0-9-]{0,62}";
const tenantName = new RegExp(String.raw`^fluo\.kms\.tenants\.(?<tenant>${tenantPattern})\.provider-key$`);
const keyName = new RegExp(String.raw`^fluo\.kms\.provider-keys\.(?<key>${keyNamePattern})\.(?<setting>.+)$`);

/** Variables that name a tenant, which are refused. */
export const tenantVariable = /^FLUO_KMS_TENANTS_.+_PROVIDER_KEY$/;

/** Whether a name is one of these settings. */
export function isTenantKeyName(name: string): boolean {
  const setting = keyName.exec(name)?.groups?.setting;
  if (setting === "azure.store-key-fingerprint") return false; // of the store's own key, which is under none of these
  return tenantName.test(name) || (setting !== undefined && Object.hasOwn(allSettings, `fluo.kms.other.${setting}`));
}

/** Names of the settings of declared provider keys. */
export function declaredNames(keys: Iterable<string>): string[] {
  const ofOne = Object.keys(allSettings).filter((name) => name.startsWith("fluo.kms.other."));
  return [...keys].flatMap((key) =>
    ofOne.map((name) => name.replace("fluo.kms.other.", `${keysPrefix}${key}.`)).filter(isTenantKeyName),
  );
}

/** Names that do not belong in the file of tenants. */
export function strangeNames({ file, entries }: Properties): Problem[] {
  return [...entries.keys()]
    .filter((as) => !isTenantKeyName(as.replace(/^%[^.]*\./, "")))
    .map((as) => ({ name: `${as} (${file})`, description: `does not belong here; this file is for ${forms}` }));
}

const forms = `fluo.kms.tenants.TENANT.provider-key and ${keysPrefix}NAME.…`;

/** Tenants in variables: their names cannot be told from them, and what would be left out is whose key wraps whose. */
function variables({ env }: TenantProviderKeySources): Problem[] {
  return Object.keys(env)
    .filter((name) => tenantVariable.test(name))
    .map((name) => ({
      name,
      description: `is a variable, which cannot spell every tenant; write it in a file: ${forms}`,
    }));
}

/** Settings of the declared keys: the tenants', and the second one. */
export interface DeclaredKeys extends TenantProviderKeySettings {
  readonly other: ProviderSettings | undefined;
}

export function declaredProviderKeys(sources: TenantProviderKeySources): DeclaredKeys {
  sources.problems.push(...variables(sources));
  const providerKeys = new Map<string, ProviderSettings>();
  const wishes = new Map<string, Wish>();
  for (const file of sources.files) {
    const problems: Problem[] = [];
    for (const [name, settings] of declaredKeys({ ...sources, problems }, file)) {
      if (providerKeys.has(name)) sources.problems.push(twice(file, `${keysPrefix}${name}`));
      providerKeys.set(name, settings);
    }
    sources.problems.push(...problems.map((each) => file.inOwnWords?.(each) ?? each));
    for (const [tenant, wish] of wishesIn(sources, file)) {
      if (wishes.has(tenant)) sources.problems.push(twice(file, wish.name));
      wishes.set(tenant, wish);
    }
  }
  const other = sources.other && providerKeys.get(sources.other.name);
  if (sources.other !== undefined) {
    const { name, origin } = sources.other;
    if (other === undefined) sources.problems.push({ name: origin, description: noSuchKey(name, providerKeys) });
    for (const { text, origin: its } of wishes.values()) {
      if (text !== name) continue;
      sources.problems.push({
        name: its,
        description: `names ${name}, which wraps nothing, as it is other; name another key`,
      });
    }
    providerKeys.delete(name);
  }
  const tenants = new Map<string, string>();
  for (const [tenant, { text, origin }] of wishes) {
    const settings = providerKeys.get(text) ?? otherKeyOf(sources.own, text);
    if (text === sources.other?.name) continue;
    if (settings === undefined)
      sources.problems.push({ name: origin, description: unknownKey(sources.own, text, providerKeys) });
    else providerKeys.set(text, settings);
    tenants.set(tenant, text);
  }
  return { providerKeys, tenants, other };
}

interface Wish {
  name: string;
  text: string;
  /** The name, and where it stands. */
  origin: string;
}

function* wishesIn({ profile }: TenantProviderKeySources, file: Properties): Iterable<[tenant: string, wish: Wish]> {
  for (const { name, text } of namesIn(file, profile)) {
    const tenant = tenantName.exec(name)?.groups?.tenant;
    if (tenant !== undefined) yield [tenant, { name, text, origin: originOf(file, name) }];
  }
}

function* declaredKeys(
  sources: TenantProviderKeySources,
  file: Properties,
): Iterable<[name: string, ProviderSettings]> {
  const { env, profile, problems, absolute, groupReadable } = sources;
  const names = new Set([...namesIn(file, profile)].map(({ name }) => keyName.exec(name)?.groups?.key));
  for (const key of names) {
    if (key === undefined) continue;
    const read = (name: string, setting: Setting) =>
      readSetting({ env, properties: file, problems }, { name, setting }, profile);
    const provider = read(`${keysPrefix}${key}.provider`, allSettings["fluo.kms.other.provider"]);
    if (provider === undefined) {
      const description = "is missing; name the provider, and behind the same name its settings";
      problems.push({ name: `${keysPrefix}${key}.provider (${file.file})`, description });
      continue;
    }
    const named = (name: ProviderSettingName) => inFamily(`${keysPrefix}${key}`, name);
    const value = (name: ProviderSettingName) => read(named(name), allSettings[otherName(name)]);
    const settings = providerOf(provider as ProviderSettings["name"], {
      value: value as ProviderValues,
      named,
      absolute,
      groupReadable,
      problems,
    });
    const own =
      key === sources.other?.name
        ? undefined
        : ownCredentials(settings, (name) => isGiven({ env, properties: file, problems }, named(name), profile));
    if (own !== undefined) problems.push({ name: named(own[0]), description: own[1] });
    yield [key, settings];
  }
}

/** Credentials of the service's own that would go to whoever runs a declared key's server, where nothing else is said. */
function ownCredentials(
  settings: ProviderSettings,
  isGivenHere: (name: ProviderSettingName) => boolean,
): [name: ProviderSettingName, description: string] | undefined {
  if (settings.name === "gcp" && realmOf(settings) !== undefined && settings.credentialsFile === undefined) {
    const what = "this service's own token would go to gcp.kms.endpoint, which is not Google's";
    return ["gcp.kms.credentials-file", `is missing; ${what}`];
  }
  if (settings.name === "vault" && settings.login.method === "kubernetes") {
    if (isGivenHere("vault.kubernetes.token-file")) return undefined;
    const what = "the pod's own token would go to vault.addr; name one that is projected for that server's audience";
    return ["vault.kubernetes.token-file", `is missing; ${what}`];
  }
  return undefined;
}

type Name = ProviderSettings["name"];
type SettingsOf<N extends Name> = Extract<ProviderSettings, { name: N }>;

/** How a provider names its keys in full, for operators; and the settings for another key there, with the service's own account. */
const otherKeys: {
  [N in Name]: { form: string | undefined; of(own: SettingsOf<N>, text: string): SettingsOf<N> | undefined };
} = {
  local: { form: undefined, of: () => undefined },
  aws: {
    form: "an ARN of a key",
    of({ places, profile }, text) {
      const region = /^arn:[a-z0-9-]+:kms:(?<region>[a-z0-9-]+):\d{12}:(key|alias)\/[A-Za-z0-9/_-]+$/.exec(text)?.groups
        ?.region;
      if (region === undefined) return undefined;
      const [first, ...others] = places;
      const sameRegion = [first, ...others].find((place) => place.region === region);
      const { endpoint } = sameRegion ?? (first.region === undefined ? first : { endpoint: undefined });
      return { name: "aws", places: [{ region, masterKeyId: text, endpoint }], profile };
    },
  },
  azure: {
    form: "https://VAULT/keys/NAME",
    of: (own, text) => (accepts(azureKey, text) ? { ...own, key: text } : undefined),
  },
  gcp: {
    form: "projects/P/locations/L/keyRings/R/cryptoKeys/K",
    of: (own, text) => (accepts(gcpKey, text) ? { ...own, key: text } : undefined),
  },
  vault: {
    form: "MOUNT/keys/NAME",
    of(own, text) {
      const { mount, key } =
        /^(?<mount>[A-Za-z0-9][A-Za-z0-9._/-]*)\/keys\/(?<key>[A-Za-z0-9][A-Za-z0-9._-]{0,127})$/.exec(text)?.groups ??
        {};
      if (mount === undefined || key === undefined || !accepts(vaultPath, mount)) return undefined;
      return { ...own, mount, key };
    },
  },
};

function otherKeyOf<N extends Name>(own: SettingsOf<N>, text: string): ProviderSettings | undefined {
  return otherKeys[own.name as N].of(own, text);
}

function accepts(parse: Parser<string>, text: string): boolean {
  try {
    return parse(text) === text;
  } catch {
    return false;
  }
}

function originOf({ file, inOwnWords }: Properties, name: string): string {
  const origin = `${name} (${file})`;
  return inOwnWords?.({ name: origin, description: "" }).name ?? origin;
}

function noSuchKey(text: string, declared: ReadonlyMap<string, unknown>): string {
  const near = nearestName(text, [...declared.keys()]);
  return `names no provider key; ${near === undefined ? "declare it under keys" : `did you mean ${near}?`}`;
}

function unknownKey({ name }: ProviderSettings, text: string, declared: ReadonlyMap<string, unknown>): string {
  const near = nearestName(text, [...declared.keys()]);
  if (near !== undefined) return `names no provider key; did you mean ${near}?`;
  const { form } = otherKeys[name];
  const inFull = form === undefined ? "" : `, or give a key of the service's own provider in full: ${form}`;
  return `names no provider key; declare one with ${keysPrefix}NAME.provider=…${inFull}`;
}

function twice(file: Properties, name: string): Problem {
  return { name: originOf(file, name), description: "is in another file too; keep it in one" };
}
