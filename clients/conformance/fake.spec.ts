/**
 * The fakes that the clients offer for tests, each in its own process and without a service: they hold the shared vectors and the
 * scenario, refuse as the service does, and open what the fakes of the other languages made.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Language, newFolder, root, runProgram, whole } from "./programs.ts";
import { refusals } from "./refusals.ts";

const here = import.meta.dirname;
const folder = newFolder("fakes-");
const evidencePath = ({ name }: Language) => join(folder, `${name}.json`);

async function runFake(
  language: Language,
  { refusals, evidence }: { refusals: string; evidence: readonly string[] },
): Promise<number> {
  const told = await runProgram(language, "fake", {
    scenario: join(here, "scenario.json"),
    refusals,
    vectors: join(root, "test", "vectors"),
    evidence,
    out: evidencePath(language),
    work: newFolder(),
  });
  expect(told.failures).toEqual([]);
  return told.passed;
}

it("is about the refusals that the service has", () => {
  expect(JSON.parse(readFileSync(join(here, "refusals.json"), "utf8"))).toEqual(refusals);
});

describe.each(whole.map((language) => [language.title, language] as const))("%s", (_, language) => {
  it("has a fake that does the scenario, and refuses by name", async () => {
    const path = join(here, "refusals.json");
    expect(await runFake(language, { refusals: path, evidence: [] })).toBeGreaterThan(refusals.length);
    expect(JSON.parse(readFileSync(evidencePath(language), "utf8"))).toMatchObject({ language: language.name });
  });
});

describe.each(whole.map((language) => [language.title, language] as const))("%s, after all", (_, language) => {
  it("opens and verifies what the fakes of all made", async () => {
    // One that could not be made is a failure of its own.
    const evidence = whole.map(evidencePath).filter(existsSync);
    // Refusals were had, and clients that repeat calls take seconds for them.
    const none = join(newFolder(), "refusals.json");
    writeFileSync(none, "[]");
    expect(await runFake(language, { refusals: none, evidence })).toBeGreaterThan(evidence.length);
  });
});
