import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, matchesGlob } from "node:path";
import { describe, expect, it } from "vitest";
import { readSuites, select } from "../../scripts/gate/suites.ts";

const root = join(import.meta.dirname, "..", "..");
const table = readSuites(join(root, ".ci", "suites.yaml"));

function suitesOf(yaml: string) {
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-suites-")), "suites.yaml");
  writeFileSync(file, yaml);
  return readSuites(file);
}

describe("a change selects", () => {
  const suites = suitesOf(`
everything: [package-lock.json]
suites:
  tests: { run: npm test, alone: true }
  clients: { run: npm run clients --, inputs: proto/**, words: { go: clients/go/**, java: [clients/java/**, pom.xml] } }
  guides: { run: npm run docs --, words: { KEYS: docs/KEYS.md } }
`);
  const commands = (changed: string[] | undefined) => select(suites, changed).selected.map(({ command }) => command);

  it("what always runs, and names what it leaves out", () => {
    const { selected, left } = select(suites, ["README.md"]);
    expect(selected.map(({ command, why }) => [command, why])).toEqual([["npm test", "always"]]);
    expect(left.map(({ name }) => name)).toEqual(["clients", "guides"]);
  });

  it("a whole suite by its inputs", () => {
    expect(commands(["clients/go/a.go", "proto/a/b.proto"])).toEqual(["npm test", "npm run clients --"]);
  });

  it("parts of a suite by the paths of these", () => {
    expect(commands(["clients/go/x/a.go", "pom.xml"])).toEqual(["npm test", "npm run clients -- go java"]);
    expect(commands(["docs/KEYS.md"])).toEqual(["npm test", "npm run docs -- KEYS"]);
  });

  it("each suite that has inputs, by a path that is everybody's, or if nobody knows the change", () => {
    expect(commands(["package-lock.json"])).toEqual(["npm test", "npm run clients --"]);
    expect(commands(undefined)).toEqual(["npm test", "npm run clients --"]);
  });
});

describe("the table of the gate", () => {
  const tracked = spawnSync(
    "git",
    ["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"],
    {
      cwd: root,
      encoding: "utf8",
    },
  );
  const files = tracked.stdout.split("\n");

  it.skipIf(tracked.status !== 0).each(table)("has no input of $name that is nowhere", ({ inputs = [], words }) => {
    const globs = [...inputs, ...[...words.values()].flat()];
    expect(globs.filter((glob) => !files.some((file) => matchesGlob(file, glob)))).toEqual([]);
  });

  it.each(table)("runs a script of package.json for $name", ({ run }) => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const [, name] = /^npm (?:run )?(\S+)/.exec(run) ?? [];
    expect(Object.keys(scripts)).toContain(name);
  });

  it("has each suite of package.json, except those that only test:all runs", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const suites = Object.keys(scripts).filter((name) => /^test:/.test(name));
    const run = table.map((suite) => /^npm (?:run )?(\S+)/.exec(suite.run)![1]);
    expect(suites.filter((name) => !run.includes(name)).sort()).toEqual([
      "test:all",
      "test:client-versions",
      "test:kubernetes",
    ]);
  });
});
