import { describe, expect, it } from "vitest";
import { changed } from "../../scripts/mutants/change.ts";
import { seededMutants } from "../../scripts/mutants/seeded.ts";

/** Returns all mutants of a text, by operator. */
function mutantsOf(text: string, seed = 1): Map<string, string[]> {
  const source = `${text}\n`;
  const found = [...seededMutants(new Map([["src/a.ts", source]]), seed)];
  const byOperator = Map.groupBy(found, ({ name }) => name.replace(/^\S+ /, ""));
  return new Map(
    [...byOperator].map(([operator, some]) => [operator, some.map((each) => changed(source, each).trim())]),
  );
}

describe("a mutant by seed", () => {
  it.each([
    ["flip comparison", "a(b < c);", "a(b <= c);"],
    ["flip comparison", "a(b !== c);", "a(b === c);"],
    ["one more", "const a = 3;", "const a = 4;"],
    ["one less", "const a = 3;", "const a = 2;"],
    ["drop await", "const a = await b();", "const a = b();"],
    ["negate condition", "const a = b ? c : d;", "const a = !(b) ? c : d;"],
    ["swap && and ||", "const a = b && c;", "const a = b || c;"],
    ["return early", "function a() { b = c; d = e; }", "function a() { return; b = c; d = e; }"],
    ["drop call", "await a();", ";"],
    ["drop guard", "if (a) throw b;", ";"],
  ])("is made by %s of %s", (operator, text, mutant) => {
    expect(mutantsOf(text).get(operator)).toEqual([mutant]);
  });

  it.each(["type A = 3;", "const a: 1 | 2 = b;", "const a = 60_000;", "// a(b < c)", "const a = b ?? c;"])(
    "is not made of %s",
    (text) => {
      expect([...mutantsOf(text).keys()]).toEqual([]);
    },
  );

  it("is the same for the same seed and text, and in another order for another", () => {
    const text = Array.from({ length: 20 }, (_, at) => `a(${at} < b${at});`).join("\n");
    expect(mutantsOf(text, 7)).toEqual(mutantsOf(text, 7));
    expect(mutantsOf(text, 7)).not.toEqual(mutantsOf(text, 8));
  });
});
