/**
 * The first command of a client's README, as it stands there, in a copy of what Git has, with the tools of that language alone: no Node, and
 * no generator on the PATH. Then the README's first program, with the client that the command installed.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { startProcess } from "../../test/support/service-process.ts";
import { newFolder, run, write } from "./newcomer/shell.ts";
import { mavenSettings } from "./newcomer/shops.ts";
import { chosen, root } from "./programs.ts";

interface Newcomer {
  env: Readonly<Record<string, string>>;
  /** Sets the shell up, before each command. */
  shell?: string;
  /** Files of the first program, from the blocks of the README. */
  program(blocks: readonly Block[]): Readonly<Record<string, string>>;
  runProgram: string;
  prints: RegExp;
}

interface Block {
  language: string;
  text: string;
}

/** `home` is an empty folder. */
const newcomers: Readonly<Record<string, (home: string) => Newcomer>> = {
  python: (home) => ({
    env: { PIP_DISABLE_PIP_VERSION_CHECK: "1" },
    shell: `[ -d ${home}/venv ] || python3 -m venv ${home}/venv; . ${home}/venv/bin/activate`,
    program: (blocks) => ({ "first.py": first(blocks, "python") }),
    // The installed messages are those that the tests and the releases have.
    runProgram: `diff -r -x __pycache__ -x '*.pyc' ${root}/clients/python/src/fluo ${home}/venv/lib/python*/site-packages/fluo
      python first.py`,
    prints: /^ann@example\.com\n$/,
  }),

  java: (home) => {
    write(home, ".m2/settings.xml", mavenSettings());
    return {
      env: { MAVEN_OPTS: `-Duser.home=${home}` },
      program: (blocks) => ({
        "pom.xml": `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.example</groupId>
  <artifactId>first</artifactId>
  <version>1</version>
  <dependencies>${first(blocks, "xml")}</dependencies>
</project>`,
        "First.java": first(blocks, "java"),
      }),
      runProgram: "mvn -q -B -ntp dependency:copy-dependencies; java -cp 'target/dependency/*' First.java",
      // Maven may print a terminal's escapes first.
      prints: /fk1\.\S+\n$/,
    };
  },

  ruby: (home) => ({
    // Dependencies may be on the machine, as Debian has them.
    env: { GEM_HOME: home, GEM_PATH: `${home}:${gemPath()}` },
    program: (blocks) => ({ "first.rb": first(blocks, "ruby") }),
    runProgram: "ruby first.rb",
    prints: /^fk1\.\S+\n$/,
  }),
};

describe.each(Object.keys(newcomers))("%s", (name) => {
  const blocks = blocksOf(readFileSync(join(root, "clients", name, "README.md"), "utf8"));

  it("begins its page with one command", () => {
    expect(blocks[0]).toEqual({ language: "sh", text: expect.stringMatching(/^.+\n$/) });
  });

  const isChosen = chosen.some((language) => language.name === name);
  it.runIf(isChosen)("installs from a checkout by that command, and makes its first call", async () => {
    const [home, folder] = [newFolder(), newFolder()];
    const { env, shell = "", program, runProgram, prints } = newcomers[name]!(home);
    const settings = `export PATH=${withoutNode(newFolder())}:$PATH\n${shell}\n`;
    await run(settings + blocks[0]!.text, newCheckout(), { env });
    const { grpc } = await startProcess({}, { cwd: newFolder() });
    for (const [file, text] of Object.entries(program(blocks)))
      write(folder, file, text.replaceAll("localhost:9000", grpc));
    expect(await run(settings + runProgram, folder, { env })).toMatch(prints);
  });
});

function blocksOf(page: string): Block[] {
  return [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
}

function first(blocks: readonly Block[], language: string): string {
  return blocks.find((block) => block.language === language)!.text;
}

/** Returns a folder with the files that Git has, or would add. */
function newCheckout(): string {
  const folder = newFolder();
  for (const file of output("git", ["-c", "safe.directory=*", ...listed]).split("\0")) {
    if (file === "" || !existsSync(join(root, file))) continue;
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(root, file), join(folder, file));
  }
  return folder;
}

const listed = ["ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", "clients", "proto"];

/** Fills a folder with programs that fail, for the PATH: this project's tools may lie beside those of the language. */
function withoutNode(folder: string): string {
  for (const program of ["node", "npm", "npx", "buf", "protoc", "grpc_ruby_plugin"]) {
    write(folder, program, '#!/bin/sh\necho "$0 is not there" >&2\nexit 127\n');
    chmodSync(join(folder, program), 0o755);
  }
  return folder;
}

function gemPath(): string {
  return output("gem", ["env", "gempath"]).trim();
}

function output(program: string, args: readonly string[]): string {
  const { error, status, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed: ${error?.message ?? stderr}`);
  return stdout;
}
