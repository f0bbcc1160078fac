/**
 * The file of named provider keys, YAML or JSON, which `fluo.kms.provider-keys.file` names: the settings of each key, the key that only opens
 * (`other`), and the keys of tenants. It becomes the properties that say the same, so that one reader of settings serves both.
 *
 *     version: 1
 *     keys: { globex: { provider: vault, vault.addr: "https://vault.globex.example:8200", vault.transit.key: fluo, … } }
 *     tenants: { globex: globex }
 */
import { createReader, type Fields, type Reader } from "../auth/policy/fields.ts";
import { quote } from "../auth/policy/quote.ts";
import { type MapNode, readPolicyText } from "../auth/policy/text.ts";
import { fieldsOf, providerPrefixes, secretSettings } from "./known-settings.ts";
import type { Problem } from "./problem.ts";
import { type Properties, readText } from "./properties.ts";
import { environmentName } from "./sources.ts";
import { keyNamePattern, keysPrefix, tenantPattern } from "./tenants.ts";

export interface ProviderKeysFile {
  properties: Properties;
  /** Name of the key that opens what it wrapped, and wraps nothing, and where it stands. */
  other: { name: string; origin: string } | undefined;
}

const topLevel = ["version", "keys", "other", "tenants"];
const providers = Object.keys(providerPrefixes) as (keyof typeof providerPrefixes)[];

/** Returns undefined after adding what is wrong with its form to `problems`. Values are read with all other settings. */
export function readProviderKeysFile(file: string, problems: Problem[]): ProviderKeysFile | undefined {
  const text = readText(file, false)!;
  if (typeof text !== "string") {
    problems.push(text);
    return undefined;
  }
  const tree = readPolicyText(text, "a file of provider keys");
  const reader = createReader();
  const found = "kind" in tree ? readTree(reader.fields(tree, topLevel, "the file"), reader) : undefined;
  const wrong = "kind" in tree ? reader.problems : tree;
  problems.push(...wrong.map((each) => ({ name: `${file}:${each.line}`, description: each.text })));
  if (found === undefined || wrong.length > 0) return undefined;
  const { entries, lines, other } = found;
  const properties: Properties = {
    file,
    entries,
    lines: new Map([...lines].map(([name, line]) => [name, [line]])),
    inOwnWords: (problem) => inOwnWords(problem, file, lines),
  };
  return { properties, other: other && { name: other.text, origin: `other (${file}:${other.line})` } };
}

function readTree(fields: Fields, reader: Reader) {
  const entries = new Map<string, string>();
  const lines = new Map<string, number>();
  const note = (name: string, text: string, line: number) => {
    entries.set(name, text);
    lines.set(name, line);
  };
  const version = fields.text("version");
  if (version !== "" && version !== "1") fields.problem("version 1 is the one there is");
  for (const { key, line, value } of mapping(fields, "keys", reader)) {
    if (!new RegExp(`^${keyNamePattern}$`).test(key)) {
      reader.problem(line, `keys: ${quote(key)} is no name of a key: write lower-case letters, digits and dashes`);
      continue;
    }
    lines.set(`${keysPrefix}${key}`, line);
    readKey(key, reader.fields(value, knownFields(value), `keys.${key}`), { reader, note });
  }
  for (const { key, line, value } of mapping(fields, "tenants", reader)) {
    if (!new RegExp(`^${tenantPattern}$`).test(key))
      reader.problem(line, `tenants: ${quote(key)} is no tenant id: write the id as callers do`);
    else if (value.kind !== "text") reader.problem(line, `tenants.${key} must be the name of a key`);
    else note(`fluo.kms.tenants.${key}.provider-key`, value.text, value.line);
  }
  return { entries, lines, other: fields.optional("other") };
}

function mapping(fields: Fields, key: string, reader: Reader): MapNode["entries"] {
  const node = fields.get(key);
  if (node === undefined || node.kind === "map") return node?.entries ?? [];
  reader.problem(node.line, `${key} must be a mapping, by name`);
  return [];
}

/** The fields that a key's own provider has; those of all if it names none. */
function knownFields(node: MapNode["entries"][number]["value"]): string[] {
  const provider = node.kind === "map" && node.entries.find(({ key }) => key === "provider")?.value;
  const named = providers.filter((each) => provider && provider.kind === "text" && provider.text === each);
  return [
    "provider",
    ...(named.length === 0 ? providers : named).flatMap((each) => fieldsOf(each).map(([name]) => name)),
  ];
}

interface KeyParts {
  reader: Reader;
  note(name: string, text: string, line: number): void;
}

function readKey(key: string, { isMap, get, line, problem }: Fields, { reader, note }: KeyParts): void {
  if (!isMap) return;
  if (get("provider") === undefined) problem(`needs provider: one of ${providers.join(", ")}`);
  const fields = ["provider", ...providers.flatMap((each) => fieldsOf(each).map(([name]) => name))];
  for (const field of fields) {
    const node = get(field);
    const name = `${keysPrefix}${key}.${field}`;
    if (node === undefined) continue;
    if (node.kind !== "text" || node.text === "") {
      reader.problem(node.line ?? line, `keys.${key}.${field} must be text`);
    } else if (secretSettings.includes(field)) {
      const instead = `name a file with ${field}-file, or set ${environmentName(name)}`;
      reader.problem(node.line, `keys.${key}.${field} is a secret, which has no place in this file: ${instead}`);
    } else note(name, node.text.trim(), node.line);
  }
}

const ofKey = /^fluo\.kms\.provider-keys\.([a-z0-9-]+)\.(\S+)/;
const ofTenant = /^fluo\.kms\.tenants\.(\S+)\.provider-key(?= |$)/;

/** `keys.globex.vault.addr (keys.yaml:4)`, or the line of its key if the field is not there. A variable keeps its own name. */
function inOwnWords({ name, description }: Problem, file: string, lines: ReadonlyMap<string, number>): Problem {
  const said = description.replaceAll(keysPrefix, "keys.");
  if (name.includes(" (environment ")) return { name, description: said };
  const property = name.split(" (")[0]!;
  const key = ofKey.exec(property)?.[1];
  const line = lines.get(property) ?? lines.get(`${keysPrefix}${key}`) ?? 1;
  const field = property.replace(ofTenant, "tenants.$1").replace(keysPrefix, "keys.");
  return { name: `${field} (${file}:${line})`, description: said };
}
