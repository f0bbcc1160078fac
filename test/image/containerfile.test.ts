/** The Containerfile for people with an engine, which nobody here can build: its commands are compared with the code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { commandScript, entrypoint, root } from "../../scripts/image/recipe.ts";

const text = readFileSync(join(root, "deploy", "image", "Containerfile"), "utf8");

function words(instruction: RegExp): string[] {
  return JSON.parse(instruction.exec(text)![1]!);
}

it("says first that it was not built", () => {
  expect(text.split("\n")[0]).toMatch(/^# Not built /);
});

it("starts what the image of `npm run image` starts", () => {
  expect(words(/^ENTRYPOINT (.*)$/m)).toEqual(entrypoint);
});

it("has the command of the image", () => {
  expect(JSON.parse(`"${/printf '(.*)' > \/out\/usr\/bin\/fluo-kms/.exec(text)![1]!.replaceAll('"', '\\"')}"`)).toBe(
    commandScript,
  );
});

it("fills the compile cache by the same Node and flags", () => {
  const fill = ["/out/usr/bin/node", ...entrypoint.slice(1, -1), "scripts/fill-compile-cache.ts"];
  expect(words(/^RUN (\[.*\])$/m)).toEqual(fill);
});
