import { join } from "node:path";
import { expect, it } from "vitest";
import { isInChange } from "../../scripts/gate/covered.ts";

const root = join(import.meta.dirname, "..", "..");
const file = join(root, "test", "keys", "keyring.test.ts");

it.each([
  ["the test itself", "test/keys/keyring.test.ts"],
  ["what it is supported by", "test/support/keys-fixture.ts"],
  ["what that is supported by", "src/keys/keyring.ts"],
  ["a file of the same folder", "src/keys/states.ts"],
])("a change of %s has it", (_what, path) => {
  expect(isInChange(root, file, ["README.md", path])).toBe(true);
});

it.each(["README.md", "src/batch/request.ts", "test/keys/lifecycle.test.ts", "test/api/json.test.ts"])(
  "a change of %s does not",
  (path) => {
    expect(isInChange(root, file, [path])).toBe(false);
  },
);

it("what a folder of test/ without a name in src/ covers is told by imports alone", () => {
  expect(isInChange(root, join(root, "test", "errors.test.ts"), ["src/cli/run.ts"])).toBe(false);
  expect(isInChange(root, join(root, "test", "errors.test.ts"), ["src/errors.ts"])).toBe(true);
});
