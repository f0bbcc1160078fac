/**
 * Where values come from: the environment first, then the file, then the default. In the environment a name is written by MicroProfile's
 * rule, `fluo.kms.grpc.port` as FLUO_KMS_GRPC_PORT; an empty value is none, so what comes next counts.
 */
import type { Problem } from "./problem.ts";
import { type Properties, propertyOf } from "./properties.ts";
import { allSettings, type Setting, type SettingName, settingNames, type Values } from "./known-settings.ts";
import { Refusal } from "./value.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Sources {
  env: Environment;
  properties: Properties | undefined;
  problems: Problem[];
}

interface Given {
  text: string;
  /** The name and its origin, for problems. */
  origin: string;
  /** Why the text is not the value. */
  refusal?: string;
}

/** Every setting's value. What cannot be read is a problem, and counts as its default for the checks that follow. */
export function readValues(sources: Sources): Values {
  const values: Record<string, unknown> = {};
  const read = (name: SettingName, profile: string) =>
    readSetting(sources, { name, setting: allSettings[name] }, profile);
  values["fluo.kms.profile"] = read("fluo.kms.profile", "");
  const profile = values["fluo.kms.profile"] as string;
  for (const name of settingNames) values[name] ??= read(name, profile);
  return values as Values;
}

export function isGiven(sources: Sources, name: string, profile: string): boolean {
  return given(sources, name, profile) !== undefined;
}

/** Whether the file has it: variables of other tools, such as VAULT_TOKEN, may be there for those. */
export function isInFile({ properties }: Sources, name: string, profile: string): boolean {
  return properties !== undefined && propertyOf(properties, name, profile) !== undefined;
}

export function environmentName(name: string): string {
  return name.replace(/[^a-zA-Z0-9]/g, "_").toUpperCase();
}

/** One value, likewise. */
export function readSetting(
  sources: Sources,
  { name, setting }: { name: string; setting: Setting },
  profile: string,
): unknown {
  const { parse, standard } = setting;
  const value = given(sources, name, profile);
  try {
    if (value?.refusal !== undefined) throw new Refusal(value.refusal);
    if (value !== undefined) return parse(value.text);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    sources.problems.push({ name: value!.origin, description: error.message });
  }
  return standard === undefined ? undefined : parse(standard);
}

function given({ env, properties }: Sources, name: string, profile: string): Given | undefined {
  const variable = environmentName(name);
  const text = env[variable]?.trim();
  if (text !== undefined && text !== "" && !(name.endsWith(".port") && isServiceLink(text))) {
    return { text, origin: `${name} (environment ${variable})` };
  }
  const property = properties && propertyOf(properties, name, profile);
  if (properties === undefined || property === undefined || property.text === "") return undefined;
  const origin = `${property.as} (${properties.file})`;
  if (!property.text.includes("${")) return { text: property.text, origin };
  return { text: "", origin, refusal: `\${…} is not expanded; write the value, or set ${variable}` };
}

/** Whether it is the value that Kubernetes gives <SERVICE>_PORT for every service, which may be called fluo-kms-grpc. */
export function isServiceLink(text: string): boolean {
  return /^(tcp|udp|sctp):\/\//.test(text);
}
