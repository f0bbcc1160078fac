import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyPatch, parsePatch, readPatches } from "../../scripts/mutants/by-hand.ts";
import { changed, hunkOf } from "../../scripts/mutants/change.ts";

const root = join(import.meta.dirname, "..", "..");

describe("the mutants by hand", () => {
  const paths = globSync("src/**/*.{ts,js}", { cwd: root });
  const sources = new Map(paths.map((path) => [path, readFileSync(join(root, path), "utf8")]));

  it.each(readPatches())("$name applies at one place of src/", (patch) => {
    const mutant = applyPatch(patch, sources);
    expect(changed(sources.get(mutant.path)!, mutant)).not.toBe(sources.get(mutant.path));
  });
});

describe("a patch", () => {
  const sources = new Map([["src/a.ts", "a();\n  if (b) {\n    c();\n  }\n"]]);
  const patch = (...lines: string[]) => parsePatch("m", ["A sentence.", ...lines].join("\n"));

  it("applies wherever its lines stand, in one file and at any depth", () => {
    const mutant = applyPatch(patch(" if (b) {", "-c();", "+d();"), sources);
    expect(changed(sources.get("src/a.ts")!, mutant)).toBe("a();\nif (b) {\nd();\n  }\n");
    expect(hunkOf(sources.get("src/a.ts")!, mutant)).toBe("src/a.ts:2\n-  if (b) {\n-    c();\n+if (b) {\n+d();");
  });

  it("is followed by another for a tree in which the first does not apply", () => {
    const mutant = applyPatch(patch("-old();", "+d();", "", "-a();"), sources);
    expect(mutant).toMatchObject({ name: "m", isByHand: true, path: "src/a.ts", text: "" });
  });

  it("is refused if nothing or more than one place has its lines", () => {
    const twice = new Map([...sources, ["src/b.ts", "x();\na();\n"]]);
    expect(() => applyPatch(patch("-old();"), sources)).toThrow(/^mutant m does not apply any more: .*\nold\(\);$/);
    expect(() => applyPatch(patch("-a();"), twice)).toThrow(
      "more than one place, give it more lines: src/a.ts:1, src/b.ts:2",
    );
  });

  it("is refused if a line has no mark", () => {
    expect(() => patch("-a();", "b();")).toThrow('mutant m: begin the line with "-", "+" or a blank: b();');
  });
});
