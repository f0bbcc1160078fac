/** Times of signing as Go's time and protojson write them. */
import { expect, it } from "vitest";
import { readSpelled } from "./instants.ts";
import { byGo } from "./others.ts";

it("500,000 spellings are read as their instants, and spans verify with them", () => {
  const { wrong, refused, ...counts } = readSpelled((instants) => byGo("instants", { instants }));
  expect({ wrong: wrong.slice(0, 5), refused: refused.slice(0, 5), ...counts }).toEqual({
    wrong: [],
    refused: [],
    spellings: 500_000,
    verified: 5_000,
  });
});
