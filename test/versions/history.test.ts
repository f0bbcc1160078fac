/** `npm run test:versions` in a checkout without history, such as a shallow clone: no git can be had from the place that this names. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..");

function suite(args: readonly string[], env: object = {}) {
  const { HOME, TMPDIR } = process.env;
  const PATH = `${join(root, "node_modules", ".bin")}:${process.env.PATH}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "scripts", "test-versions.ts"), ...args], {
    cwd: root,
    env: { PATH, HOME, TMPDIR, GIT_DIR: join(root, "nowhere"), ...env },
    encoding: "utf8",
  });
  return { status, lines: stdout.trimEnd().split("\n"), stderr };
}

it("says loudly that the version before is skipped", () => {
  const { status, lines, stderr } = suite(["earlier"]);
  expect(stderr).toMatch(/^NOT RUN versions\/earlier: .*the history of this checkout has no commit [0-9a-f]+$/m);
  expect(lines.at(-1)).toBe("0 passed, 0 failed");
  expect(status).toBe(0);
});

it("runs the releases to come all the same", () => {
  const { status, lines, stderr } = suite(["--testNamePattern=no test is called so"]);
  expect(stderr).toMatch(/^NOT RUN versions\/earlier:/m);
  expect(lines.at(-1)).toMatch(/^0 passed, 0 failed, [1-9]\d* skipped$/);
  expect(status).toBe(0);
});

it("fails in CI", () => {
  const { status, lines, stderr } = suite([], { CI: "true" });
  expect(stderr).toMatch(/^FAILED: .*the version before/m);
  expect(lines.at(-1)).toBe("0 passed, 2 failed");
  expect(status).toBe(1);
});
