import { join } from "node:path";
import { expect, it } from "vitest";
import { nearestTests } from "../../scripts/mutants/near.ts";

const root = join(import.meta.dirname, "..", "..");

it("the tests of a file come first, and then those that reach it by more imports", () => {
  const tests = nearestTests(root, "src/tlog/merkle.ts");
  expect(tests[0]).toBe("test/tlog/merkle.test.ts");
  expect(tests.indexOf("test/tlog/proof-writer.test.ts")).toBeLessThan(tests.indexOf("test/gate/suites.test.ts"));
});

it("transcripts come before the tests that only reach a command by others", () => {
  expect(nearestTests(root, "src/cli/commands/policy-diff.ts").slice(0, 2)).toContain("test/cli/transcripts.test.ts");
});

it("all files of the first tier are in the order, and none of the second", () => {
  const tests = nearestTests(root, "src/version.ts");
  expect(tests).toContain("test/mutants/near.test.ts");
  expect(tests.filter((test) => test.endsWith(".process.test.ts"))).toEqual([]);
});
