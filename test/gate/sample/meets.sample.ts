import { expect, it } from "vitest";

it("fails behind a file that leaves something", () => {
  expect(globalThis).not.toHaveProperty("left");
});
