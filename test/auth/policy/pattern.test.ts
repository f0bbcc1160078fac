/** Names in rules: exact, with one part that may be any, and one that holds a tenant. */
import { describe, expect, it } from "vitest";
import { type Pattern, patternOf } from "../../../src/auth/policy/pattern.ts";

type Separator = Parameters<typeof patternOf>[1];

function pattern(text: string, separator: Separator = "/"): Pattern {
  const made = patternOf(text, separator);
  if (typeof made === "string") throw new Error(made);
  return made;
}

/** The tenant, or "" for a match without one; undefined for none. */
function match(text: string, name: string, separator: Separator = "/"): string | undefined {
  const found = pattern(text, separator).match(name);
  return found && (found.tenant ?? "");
}

describe("an exact name", () => {
  it("is one name and no other", () => {
    expect(pattern("spiffe://td/a")).toMatchObject({ exact: true, captures: false, text: "spiffe://td/a" });
    expect(match("spiffe://td/a", "spiffe://td/a")).toBe("");
    for (const other of ["spiffe://td/b", "spiffe://td/a/", "spiffe://td/a/b", "spiffe://td", "Spiffe://td/a", ""]) {
      expect(match("spiffe://td/a", other)).toBeUndefined();
    }
  });
});

describe("a star", () => {
  it("is one part that is not empty", () => {
    const text = "spiffe://td/ns/*/sa/x";
    expect(pattern(text)).toMatchObject({ exact: false, captures: false });
    expect(match(text, "spiffe://td/ns/fluo/sa/x")).toBe("");
    expect(match(text, "spiffe://td/ns/*/sa/x")).toBe("");
    expect(match(text, "spiffe://td/ns/a.b:c/sa/x")).toBe("");
  });

  const paths = ["//sa/x", "/a/b/sa/x", "/sa/x", "/a/sa/x/", "/a/sa/y", "/a/sa/xx", "/a/sa"];
  it.each([...paths.map((path) => `spiffe://td/ns${path}`), "xspiffe://td/ns/a/sa/x", "spiffe://other/ns/a/sa/x", ""])(
    "is no other number of parts, and leaves the others as they are: %s",
    (name) => {
      expect(match("spiffe://td/ns/*/sa/x", name)).toBeUndefined();
    },
  );

  it("may be the first part or the last", () => {
    expect(match("*.example.org", "a.example.org", ".")).toBe("");
    expect(match("*.example.org", ".example.org", ".")).toBeUndefined();
    expect(match("*.example.org", "a.b.example.org", ".")).toBeUndefined();
    expect(match("system:serviceaccount:a:*", "system:serviceaccount:a:b", ":")).toBe("");
    expect(match("system:serviceaccount:a:*", "system:serviceaccount:a:", ":")).toBeUndefined();
    expect(match("system:serviceaccount:a:*", "system:serviceaccount:a:b:c", ":")).toBeUndefined();
  });
});

describe("a tenant in a name", () => {
  it("is captured from its part", () => {
    const text = "system:serviceaccount:{tenant}:backend";
    expect(pattern(text, ":")).toMatchObject({ exact: false, captures: true });
    expect(match(text, "system:serviceaccount:acme:backend", ":")).toBe("acme");
    expect(match(text, "system:serviceaccount:a.b_c-1:backend", ":")).toBe("a.b_c-1");
    expect(match(text, `system:serviceaccount:${"a".repeat(63)}:backend`, ":")).toBe("a".repeat(63));
  });

  it.each(["acme:x", "", "Acme", "a".repeat(64), "-acme", "a/b", "*", "acme\n", "{tenant}"])(
    "attack 48: is not captured from %j",
    (tenant) => {
      expect(match("sa:{tenant}:backend", `sa:${tenant}:backend`, ":")).toBeUndefined();
    },
  );

  it("may have fixed text before and behind it in its part", () => {
    expect(match("kms-{tenant}.a", "kms-acme.a", ".")).toBe("acme");
    expect(match("{tenant}-kms.a", "acme-kms.a", ".")).toBe("acme");
    expect(match("a-{tenant}-b", "a-x-b")).toBe("x");
    expect(match("a-{tenant}-b", "a-a-b-b")).toBe("a-b");
    for (const name of ["kms-.a", "acme.a", "kms-Acme.a", "kms-acme.b", "kms-acme.x.a", "xkms-acme.a"]) {
      expect(match("kms-{tenant}.a", name, ".")).toBeUndefined();
    }
  });

  it("is never text that is both before and behind", () => {
    expect(match("ab{tenant}ba", "aba")).toBeUndefined();
    expect(match("aa{tenant}aa", "aaa")).toBeUndefined();
    expect(match("aa{tenant}aa", "aaaa")).toBeUndefined();
    expect(match("aa{tenant}aa", "aaaaa")).toBe("a");
  });

  it("may be beside a star, in either order", () => {
    expect(match("a/*/{tenant}", "a/b/acme")).toBe("acme");
    expect(match("a/{tenant}/*", "a/acme/b")).toBe("acme");
    expect(match("a/{tenant}-b/*", "a/acme-c/b")).toBeUndefined();
    expect(match("a/*/{tenant}", "a//acme")).toBeUndefined();
    expect(match("a/*/{tenant}", "a/b/c/acme")).toBeUndefined();
  });
});

describe("a text that is no pattern", () => {
  const whole = (separator: string) =>
    `* stands for a whole part between "${separator}", and {tenant} is the only name in braces`;

  it.each<[text: string, separator?: Separator]>([
    ...["a*/b", "a/*b", "a/**", "a/{tenant}*", "a/{tenants}", "a/{}", "a/{", "a/tenant}", "a/{{tenant}}"].map(
      (text): [string] => [text],
    ),
    ["*-{tenant}.a", "."],
    ["a:{tenant}{tenant}", ":"],
    ["a:*/b", ":"],
  ])("has stars or braces in a part: %s", (text, separator = "/") => {
    expect(patternOf(text, separator)).toBe(whole(separator));
  });

  it("has two stars, or two tenants", () => {
    expect(patternOf("*/*", "/")).toBe("* may stand for one part only");
    expect(patternOf("a/*/b/*", "/")).toBe("* may stand for one part only");
    expect(patternOf("{tenant}/a-{tenant}", "/")).toBe("{tenant} may stand in one part only");
  });
});

describe("two patterns overlap if some name could match both", () => {
  it.each<[string, string, boolean, Separator?]>([
    ["a/b", "a/b", true],
    ["a/b", "a/c", false],
    ["a/*", "a/b", true],
    ["a/*", "a/", false],
    ["a/*", "a/b/c", false],
    ["a/*", "*/b", true],
    ["a/*", "b/*", false],
    ["a/*", "a/*/c", false],
    ["*/b", "{tenant}/b", true],
    ["a/{tenant}", "a/acme", true],
    ["a/{tenant}", "a/ACME", false],
    ["a/{tenant}", "*/ACME", false],
    ["a/kms-{tenant}", "a/kms-{tenant}", true],
    ["a/kms-{tenant}", "a/{tenant}", true],
    ["a/kms-{tenant}", "a/app-{tenant}", false],
    ["a/{tenant}-kms", "a/{tenant}-app", false],
    ["a/kms-{tenant}", "a/{tenant}-app", true],
    ["*.local", "a.*", true, "."],
    ["sa:{tenant}:b", "sa:*:b", true, ":"],
    ["sa:{tenant}:b", "sa:*:c", false, ":"],
  ])("%s and %s: %s", (a, b, overlaps, separator = "/") => {
    expect(pattern(a, separator).overlaps(pattern(b, separator))).toBe(overlaps);
    expect(pattern(b, separator).overlaps(pattern(a, separator))).toBe(overlaps);
  });
});
