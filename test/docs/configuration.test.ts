/** docs/CONFIGURATION.md against src/config/: every setting has a row with its default and the values it takes, and every row a setting. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { allSettings, inFamily, otherName, type Setting, settings } from "../../src/config/known-settings.ts";
import { environmentName } from "../../src/config/sources.ts";
import { isTenantKeyName } from "../../src/config/tenants.ts";
import { differences, type Fact, namesIn, rowsOf } from "./tables.ts";

const root = join(import.meta.dirname, "..", "..");
const page = readFileSync(join(root, "docs", "CONFIGURATION.md"), "utf8");
const known: Record<string, Setting> = {
  ...settings,
  "fluo.kms.other.provider": allSettings["fluo.kms.other.provider"],
};
/** Settings of a provider, each known by its name in the first family below too. */
const providerNames = Object.keys(settings).filter((name) => {
  return name !== "fluo.kms.provider" && Object.hasOwn(allSettings, otherName(name));
});

/** Names with a part that the operator chooses, or that is a provider's setting. */
const families = {
  "fluo.kms.other.SETTING": "as above",
  "fluo.kms.tenants.TENANT.provider-key": "none",
  "fluo.kms.provider-keys.NAME.provider": "none",
  "fluo.kms.provider-keys.NAME.SETTING": "as above",
};

/** Returns what a row must state: the default, and the range or the words that the setting takes. */
function factOf({ parse, standard }: Setting): string {
  const refusal = refusalOf(parse);
  const [, min, max] = / from (\S+) to (\S+?)(,| such)/.exec(refusal) ?? [];
  const [, words] = /; available: (.+)$/.exec(refusal) ?? [];
  const range = min === undefined ? [] : [`${min} to ${max}`];
  return [standard ?? "none", ...range, ...(words?.split(", ").sort() ?? [])].join("; ");
}

function refusalOf(parse: Setting["parse"]): string {
  try {
    parse("~");
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

/** Returns what a row states, in the form of `factOf`: words count only if the setting takes some words and no others. */
function statedIn([name, standard, meaning]: readonly string[], setting: Setting | undefined): Fact {
  const [[setName], [value]] = [namesIn(name!), namesIn(standard!)];
  const [, min, max] = /`([^`]+)` to `([^`]+)`/.exec(meaning!) ?? [];
  const range = min === undefined ? [] : [`${min} to ${max}`];
  const takesWords = setting !== undefined && refusalOf(setting.parse).includes("; available: ");
  const words = takesWords ? namesIn(meaning!) : [];
  return [setName!, [value ?? standard, ...range, ...words.sort()].join("; ")];
}

function problemsOf(text: string): string[] {
  const stated = rowsOf(text, "name").map((row) => statedIn(row, known[namesIn(row[0]!)[0]!]));
  const actual = Object.entries(known).map(([name, setting]): Fact => [name, factOf(setting)]);
  return differences(stated, [...actual, ...Object.entries(families)]);
}

it("states every setting with its default and its values, and no other", () => {
  expect(problemsOf(page)).toEqual([]);
});

describe("is refused", () => {
  const row = (name: string) => page.split("\n").find((line) => line.startsWith(`| \`${name}\` `))!;
  const without = (name: string) => page.replace(`${row(name)}\n`, "");
  it.each(Object.keys(settings))("without a row of %s", (name) => {
    expect(problemsOf(without(name))).toEqual([`${name}: in the code, not on the page`]);
  });

  it.each([
    ["with a setting that is none", "`kms.cache.ttl`", "`kms.cache.life`"],
    ["with another default", "`60m`", "`61m`"],
    ["with another range", "`1s` to `50s`", "`1s` to `60s`"],
    ["with a range that is gone", "; `0s` to `1h`", ""],
    ["with a word left out", "`memory`, `sqlite` or `postgres`", "`memory` or `sqlite`"],
    ["with a word that is none", "`memory`, `sqlite` or `postgres`", "`memory`, `sqlite`, `postgres` or `mysql`"],
  ])("%s", (_, from, to) => {
    expect(page).toContain(from);
    expect(problemsOf(page.replace(from, to))).not.toEqual([]);
  });
});

it("has the families of names that the service knows", () => {
  const setting = (name: string, own: string) => own.replace("SETTING", name.replace(/^fluo\.kms\./, ""));
  for (const name of providerNames) {
    expect(setting(name, "fluo.kms.other.SETTING")).toBe(inFamily("fluo.kms.other", name));
    if (name === "azure.store-key-fingerprint") continue; // of the store, which no tenant has
    expect(isTenantKeyName(setting(name, "fluo.kms.provider-keys.blue.SETTING"))).toBe(true);
  }
  const others = Object.keys(allSettings).filter((name) => name.startsWith("fluo.kms.other."));
  expect(others.sort()).toEqual(["fluo.kms.other.provider", ...providerNames.map((name) => otherName(name))].sort());
  expect(isTenantKeyName("fluo.kms.provider-keys.blue.provider")).toBe(true);
  expect(isTenantKeyName("fluo.kms.tenants.acme.provider-key")).toBe(true);
  expect(isTenantKeyName("fluo.kms.tenants.acme.key")).toBe(false);
});

it("spells names in the environment as the service reads them", () => {
  const pairs = [...page.matchAll(/`([a-z.-]+)` is `([A-Z_]+)`/g)];
  expect(pairs.length).toBeGreaterThan(0);
  for (const [, name, variable] of pairs) expect(environmentName(name!)).toBe(variable);
});

it("lists the variables that src/config/ and src/telemetry/ read besides", () => {
  const config = join(root, "src", "config");
  const files = [...readdirSync(config).map((name) => join(config, name)), join(root, "src", "telemetry", "start.ts")];
  const code = files.map((file) => readFileSync(file, "utf8")).join("\n");
  const ofSettings = new Set(Object.keys(settings).map(environmentName));
  const read = code.match(/\b(OTEL|FLUO)_[A-Z_]*[A-Z]\b/g)!.filter((name) => !ofSettings.has(name));
  const bySignal = ["TRACES", "METRICS"].map((signal) => `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`);
  const listed = rowsOf(page, "variable").flatMap(([cell]) => namesIn(cell!));
  expect(listed.sort()).toEqual([...new Set([...read, ...bySignal])].sort());
});
