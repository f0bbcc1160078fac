import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

it("fails the first time", () => {
  const mark = join(process.env.SAMPLE_FOLDER!, "was-here");
  const wasHere = existsSync(mark);
  writeFileSync(mark, "");
  expect(wasHere).toBe(true);
});

it("passes", () => {});
