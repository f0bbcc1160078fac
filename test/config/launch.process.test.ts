/** How the process was started: a debugger beside keys, and a Node that misreads JSON. What profile prod refuses, and how it says so. */
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import packageJson from "../../package.json" with { type: "json" };
import { debuggerProblems, type Launch, mendedPlatforms } from "../../src/config/launch.ts";
import { mendedNode, misreadsNames } from "../../src/runtime/misread-names.ts";
import { run } from "../support/cli-fixture.ts";
import { startProcess } from "../support/service-process.ts";
import { directory, problemsOf, production, withTexts } from "../support/config-fixture.ts";

const none: Launch = {
  env: {},
  execArgv: [],
  debuggerUrl: undefined,
  misreadsNames: false,
  platform: "linux-x64",
};
const named = (launch: Partial<Launch>) => debuggerProblems({ ...none, ...launch }).map(({ name }) => name);

describe("a debugger", () => {
  it.each([
    "--inspect",
    "--inspect=9229",
    "--inspect=0.0.0.0:0",
    "--inspect-brk",
    "--inspect-brk=0",
    "--inspect_brk",
    "--inspect-wait",
    "--inspect-brk-node",
    "--inspect-port=9230",
    "--inspect-publish-uid=http",
    "--debug",
    "--debug-port=9230",
    "--experimental-network-inspection",
    "--experimental_inspector_network_resource",
  ])("is what %s is for, given to Node or in NODE_OPTIONS", (flag) => {
    expect(named({ execArgv: ["--no-warnings", flag] })).toEqual([`${flag} (argument of Node)`]);
    const opens = [`${flag} (environment NODE_OPTIONS)`];
    expect(named({ env: { NODE_OPTIONS: `--no-warnings  ${flag}` } })).toEqual(opens);
    expect(named({ env: { NODE_OPTIONS: `"${flag}"` } })).toEqual(opens);
  });

  it.each([
    "--disable-sigusr1",
    "--import=./inspect.js",
    "--require=--inspect",
    "--title=--inspect",
    "--no-inspect",
    "--inspector",
    "--max-semi-space-size=8",
    "inspect",
    "",
  ])("is not what %j is for", (flag) => {
    expect(named({ execArgv: [flag], env: { NODE_OPTIONS: flag } })).toEqual([]);
  });

  it("that is open is told of where no flag tells of it", () => {
    const debuggerUrl = "ws://127.0.0.1:9229/1";
    expect(named({ debuggerUrl })).toEqual([`the debugger ${debuggerUrl}`]);
    expect(named({ debuggerUrl, execArgv: ["--inspect"] })).toEqual(["--inspect (argument of Node)"]);
  });
});

describe("profile prod", () => {
  const load = (launch: Launch, profile: string) =>
    problemsOf(() => loadConfig({ env: { ...production, FLUO_KMS_PROFILE: profile }, cwd: directory(), launch }));

  it("refuses one, and no other profile does", () => {
    const launch = { ...none, execArgv: ["--inspect=0"] };
    expect(load(launch, "prod")).toBe(
      "--inspect=0 (argument of Node): opens a debugger, by which whoever reaches its port reads every key; in profile prod start Node without it",
    );
    expect(load(launch, "dev")).toBe("");
    expect(load(none, "prod")).toBe("");
  });

  it.each([
    ["given to Node", { flags: ["--inspect=127.0.0.1:0"], env: {} }, "--inspect=127.0.0.1:0 (argument of Node)"],
    [
      "in NODE_OPTIONS",
      { flags: [], env: { NODE_OPTIONS: "--inspect=127.0.0.1:0" } },
      "--inspect=127.0.0.1:0 (environment NODE_OPTIONS)",
    ],
    [
      "opened by what was loaded first",
      { flags: ["--import=data:text/javascript,import%20{open}%20from%20'node:inspector';open(0)"], env: {} },
      "the debugger ws://127.0.0.1:",
    ],
  ])("does not start under one %s: exit code 2, and a line that says what to do", async (_, { flags, env }, name) => {
    const cwd = directory({ "policy.yaml": "version: 1\nrules: []\n" });
    for (const command of ["serve", "check", "backup"]) {
      const args = command === "backup" ? [command, "none.db"] : [command];
      const { code, out, err } = await run(args, { cwd, flags, env: { ...production, ...env } });
      expect({ code, out }).toEqual({ code: 2, out: "" });
      const said = err.split("\n").filter((line) => line !== "" && !/^(Debugger listening|For help)/.test(line));
      expect(said).toEqual([expect.stringContaining(name)]);
      expect(said[0]).toContain("in profile prod");
    }
  });
});

describe("a Node that misreads names in JSON", () => {
  const launched = (profile: string, launch: Partial<Launch>) => () =>
    withTexts(
      loadConfig({
        env: { ...production, FLUO_KMS_PROFILE: profile },
        cwd: directory(),
        launch: { ...none, misreadsNames: true, ...launch },
      }),
    );

  it.each(mendedPlatforms)("is refused in profile prod on %s, and nowhere else", (platform) => {
    expect(problemsOf(launched("prod", { platform }))).toBe(
      `Node ${process.versions.node}: misreads some names in JSON, so that one caller's request changes how another's is read; in profile prod use Node 26.12.1 or later, which npm ci installs`,
    );
    expect(problemsOf(launched("dev", { platform }))).toBe("");
    expect(problemsOf(launched("prod", { platform, misreadsNames: false }))).toBe("");
    expect(problemsOf(launched("prod", { platform: "darwin-arm64" }))).toBe("");
  });

  it("is told of by a warning, which is no fault of the configuration", () => {
    const notice = `Node ${process.versions.node} misreads some names in JSON: callers' JSON is read by a parser of the service's own. Use Node 26.12.1 or later.`;
    for (const [profile, platform] of [
      ["dev", "linux-x64"],
      ["prod", "darwin-arm64"],
    ] as const) {
      const { warnings, faults } = launched(profile, { platform })();
      expect(warnings[0]).toBe(notice);
      expect(faults).not.toContain(notice);
      expect(launched(profile, { platform, misreadsNames: false })().warnings).not.toContain(notice);
    }
  });

  it("is on no platform for which a Node without the defect is installed", () => {
    const mended = Object.entries(packageJson.optionalDependencies)
      .filter(([, version]) => version.localeCompare(mendedNode, "en", { numeric: true }) >= 0)
      .map(([name]) => name.replace(/^node-(bin-)?/, ""));
    expect(mended.toSorted()).toEqual(mendedPlatforms.toSorted());
    // This process runs on the installed one.
    expect(misreadsNames()).toBe(!mended.includes(`${process.platform}-${process.arch}`));
  });
});

it("another profile serves under a debugger", async () => {
  const service = await startProcess({}, { flags: ["--inspect=127.0.0.1:0"] });
  service.child.kill("SIGTERM");
  expect(await service.ended).toEqual({ code: 0, err: expect.stringContaining("Debugger listening") });
});
