/** What the gate makes of failures, with real runs of Vitest. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { judge, type Verdict } from "../../scripts/gate/again.ts";
import { run } from "../../scripts/gate/run.ts";

const root = join(import.meta.dirname, "..", "..");
const suite = { name: "tests", run: "npm test", alone: true, installs: false, inputs: undefined, words: new Map() };

function folder(): string {
  return mkdtempSync(join(tmpdir(), "fluo-kms-again-"));
}

/** Runs the samples of these names in this order, and judges what failed. */
async function judged(...names: string[]): Promise<{ passed: number; failed: number; verdicts: Verdict[] }> {
  process.env.SAMPLE_FOLDER = folder();
  onTestFinished(() => {
    delete process.env.SAMPLE_FOLDER;
  });
  const files = names.map((name) => join(root, "test", "gate", "sample", `${name}.sample.ts`));
  const config = join(root, "test", "gate", "sample", "vitest.config.ts");
  const command = `npx vitest run --config ${config} ${files.join(" ")}`;
  const outcome = await run(command, root, folder(), { TEST_ORDER: files.join(" "), CI: undefined });
  const verdicts = await judge({ suite, command: "npm test", why: "always" }, outcome, "0.5", { root, work: folder() });
  return { passed: outcome.passed, failed: outcome.failed, verdicts };
}

describe("a test that failed", () => {
  it("once and never again is an accident, of which all is told that repeats it", async () => {
    const { passed, failed, verdicts } = await judged("once");
    expect([passed, failed]).toEqual([1, 1]);
    expect(verdicts).toEqual([
      {
        name: "tests: test/gate/sample/once.sample.ts > fails the first time",
        file: join(root, "test", "gate", "sample", "once.sample.ts"),
        isSelectedByChange: false,
        seed: expect.any(Number),
        load: "0.5",
        failedAgain: [],
        why: expect.stringContaining("expected false to be true"),
      },
    ]);
  });

  it("for what a file before it left behind fails in that order again, and alone it passes", async () => {
    const { verdicts } = await judged("leaves", "meets");
    expect(verdicts.map(({ failedAgain }) => failedAgain)).toEqual([["in the same order"]]);
  });
});

describe("a command that failed without a test's file", () => {
  const failsOnce = () => `test -e ${join(folder(), "was-here")} || { touch $_; false; }`;
  const judgedFor = async (why: string) => {
    const command = failsOnce();
    const outcome = await run(command, root, folder());
    expect([outcome.passed, outcome.failed]).toEqual([0, 1]);
    return judge({ suite: { ...suite, name: "guides" }, command, why }, outcome, "0.5", { root, work: folder() });
  };

  it("is judged by the path that selected it", async () => {
    const accident = { file: undefined, failedAgain: [] };
    expect(await judgedFor("docs/KEYS.md")).toMatchObject([{ ...accident, isSelectedByChange: true }]);
    expect(await judgedFor("always")).toMatchObject([{ ...accident, isSelectedByChange: false }]);
  });
});

describe("a command", () => {
  it("counts what it says, however often, and what it costs with all that ran below it", async () => {
    const outcome = await run(
      `node -e 'console.log("2 passed, 1 failed"); console.log("3 passed, 0 failed, 1 skipped")'`,
      root,
      folder(),
    );
    expect([outcome.passed, outcome.failed]).toEqual([5, 1]);
    expect(outcome.cpuSeconds).toBeGreaterThan(0);
  });

  it("that says nothing has passed or failed by its exit code", async () => {
    const [good, bad] = [await run("true", root, folder()), await run("false", root, folder())];
    expect([good.passed, good.failed, bad.passed, bad.failed]).toEqual([1, 0, 0, 1]);
  });

  it("that failed behind a line without failures has failed", async () => {
    const outcome = await run(`echo 1 passed, 0 failed; false`, root, folder());
    expect([outcome.passed, outcome.failed]).toEqual([1, 1]);
  });
});
