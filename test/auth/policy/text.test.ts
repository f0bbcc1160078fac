/** The narrow part of YAML that a policy is written in: what it holds, and what is refused with its line. */
import { describe, expect, it } from "vitest";
import { maxPolicyBytes, type PolicyNode, readPolicyText } from "../../../src/auth/policy/text.ts";

/** As plain values; the order of keys is that of the file. */
function plain(node: PolicyNode): unknown {
  if (node.kind === "text") return node.text;
  if (node.kind === "list") return node.items.map(plain);
  return node.entries.map(({ key, value }) => [key, plain(value)]);
}

function read(text: string): unknown {
  const tree = readPolicyText(text);
  if (!("kind" in tree)) throw new Error(JSON.stringify(tree));
  return plain(tree);
}

function refused(text: string): string[] {
  const tree = readPolicyText(text);
  if ("kind" in tree) throw new Error("was read");
  return tree.map(({ line, text: what }) => `${line}: ${what}`);
}

describe("a scalar", () => {
  it("is the text that is written, whatever YAML would make of it", () => {
    const words = ["no", "off", "yes", "0123", "1e3", "1.0", "0x1F", "null", "~", "2026-01-01", ".inf", "-1", "1_000"];
    expect(read(words.map((word) => `- ${word}\n`).join(""))).toEqual(words);
    expect(read(`[${words.join(", ")}]`)).toEqual(words);
  });

  it("may be quoted, and then begin with anything", () => {
    expect(read(`a: "*"\nb: '{tenant}'\nc: "@x"\nd: "a\\u00e9"\ne: ''\n`)).toEqual([
      ["a", "*"],
      ["b", "{tenant}"],
      ["c", "@x"],
      ["d", "aé"],
      ["e", ""],
    ]);
  });

  it("may have braces, colons and stars within", () => {
    const text =
      "a: system:serviceaccount:{tenant}:backend\nb: https://x.example.org/a?b=[c]\nc: acme-*\nd: repo:o/r:ref\n";
    expect((read(text) as string[][]).map(([, value]) => value)).toEqual([
      "system:serviceaccount:{tenant}:backend",
      "https://x.example.org/a?b=[c]",
      "acme-*",
      "repo:o/r:ref",
    ]);
  });

  it("may go on in the next line, which a space replaces", () => {
    expect(read("a: b\n  c\n")).toEqual([["a", "b c"]]);
  });
});

describe("a policy's text", () => {
  it("has the line of each node", () => {
    const lined = (node: PolicyNode): unknown => {
      if (node.kind === "text") return `${node.text} ${node.line}`;
      if (node.kind === "list") return [node.line, node.items.map(lined)];
      return [node.line, node.entries.map(({ key, line, value }) => [`${key} ${line}`, lined(value)])];
    };
    const tree = readPolicyText("# first\na: b\n\nc:\n  - d\n  - e: { f: g,\n      h: i }\n") as PolicyNode;
    expect(JSON.stringify(lined(tree))).toBe(
      '[2,[["a 2","b 2"],["c 4",[5,["d 5",[6,[["e 6",[6,[["f 6","g 6"],["h 7","i 7"]]]]]]]]]]]',
    );
  });

  it("may be JSON", () => {
    const policy = {
      version: 1,
      rules: [{ name: "a", tenants: ["b", "c"], limit: 1.5, off: false, odd: "\u00e9{}[]:" }],
    };
    const value = [
      ["version", "1"],
      [
        "rules",
        [
          [
            ["name", "a"],
            ["tenants", ["b", "c"]],
            ["limit", "1.5"],
            ["off", "false"],
            ["odd", "é{}[]:"],
          ],
        ],
      ],
    ];
    expect(read(JSON.stringify(policy))).toEqual(value);
    expect(read(JSON.stringify(policy, undefined, 2))).toEqual(value);
  });

  it("may begin with a byte order mark or a marker, have comments, and lines that end as on Windows", () => {
    const value = [
      ["a", "b"],
      ["c", ["d"]],
    ];
    for (const text of [
      "\uFEFFa: b\nc: [d]\n",
      "---\na: b\nc: [d]\n...\n",
      "a: b\r\nc:\r\n- d\r\n",
      "a: b # [{*&!\n# {\nc: [d]",
    ])
      expect(read(text)).toEqual(value);
  });

  it("may have lists in lists, and lines behind brackets and braces", () => {
    expect(read("- - a\n  - b\n- c\n")).toEqual([["a", "b"], "c"]);
    expect(read("a: { b: c, d: [e: f] }\ng: h\ni: [{ j: k }]\nl: m\n")).toEqual([
      [
        "a",
        [
          ["b", "c"],
          ["d", [[["e", "f"]]]],
        ],
      ],
      ["g", "h"],
      ["i", [[["j", "k"]]]],
      ["l", "m"],
    ]);
    expect(refused("a: [b]\nc: d: e\n")).toEqual(['2: a second ": ": quote the text that it is in']);
    expect(refused("a: { b: c }\nd: - e\n")[0]).toMatch(/^2: an entry of a list/);
    expect(refused("a: { b: c }\n}\n")).toEqual(["2: } closes nothing"]);
  });

  it("may have any number of brackets in comments and quotes", () => {
    expect(read(`# ${"[{".repeat(100)}\na: "${"[{".repeat(100)}"\n`)).toEqual([["a", "[{".repeat(100)]]);
  });

  it("has members of any name, which are no members of objects", () => {
    expect(read("__proto__: { constructor: toString }\n")).toEqual([["__proto__", [["constructor", "toString"]]]]);
  });

  it("may be as long as a MiB, and no longer", () => {
    const text = `a: b\n#${"x".repeat(maxPolicyBytes - 6)}`;
    expect(Buffer.byteLength(text)).toBe(1_048_576);
    expect(read(text)).toEqual([["a", "b"]]);
    expect(refused(`${text}x`)).toEqual(["1: is longer than 1048576 bytes"]);
    expect(refused("é".repeat(maxPolicyBytes / 2 + 1))).toEqual(["1: is longer than 1048576 bytes"]);
  });
});

describe("what is refused, with its line", () => {
  const second = "a second document: a policy is one";
  const directive = "a directive: a policy needs none";
  const merge = "a merge key: write out what it stands for";
  const deep = "is nested too deep";
  const noSpace = 'a key has ": " behind it, with a space, in its own line';

  it.each<[text: string, problem: string]>([
    ["", "1: is empty"],
    ["# a\n# b\n", "1: is empty"],
    ["a: b\n---\nc: d\n", `2: ${second}`],
    ["a: b\n...\nc: d\n", `3: ${second}`],
    ["a: b\n---\n", `2: ${second}`],
    ["a: b\n...\n...\n", `3: ${second}`],
    ["%YAML 1.1\n---\na: no\n", `1: ${directive}`],
    ["%TAG ! tag:x,2000:\n---\na: b\n", `1: ${directive}`],
    ["a: b\nc: &d e\n", "2: an anchor: write out what &d stands for"],
    ["a: &b\n  c: d\n", "1: an anchor: write out what &b stands for"],
    ["a: !!binary aGk=\n", "1: a tag, !!binary: every value is text"],
    ["a:\n  - !x b\n", "2: a tag, !x: every value is text"],
    ["a: b\nc: *a\n", '2: quote it: c: "*a"'],
    ["a: b\n<<: { c: d }\n", `2: ${merge}`],
    ['a: b\n"<<": { c: d }\n', `2: ${merge}`],
    ["a: b\nc: d\na: e\n", "3: a second a: a key stands once"],
    ['a: b\n"\\x61": c\n', "2: a second a: a key stands once"],
    ['{"a": {"b": "c",\n"\\u0062": "d"}}', "2: a second b: a key stands once"],
    ["a:\n\tb: c\n", "2: a tab: use spaces"],
    ['a: "b\tc"\n', "1: a tab: use spaces"],
    ["? a\n: b\n", "1: a key that begins with ?: write key: value"],
    ["[a]: b\n", "1: With stringKeys, all keys must be strings"],
    [": a\n", "1: a key has no name"],
    ["a: b\nc:\n", "2: c has no value"],
    ["a: { b }\n", "1: b has no value"],
    ["a: b ]\nc: d\n]\n", "3: ] closes nothing"],
    [`a: b\nc: ${"[".repeat(33)}${"]".repeat(33)}`, `2: ${deep}`],
    [`a:\n${" ".repeat(121)}b: c\n`, `2: ${deep}`],
    [`${"- ".repeat(61)}a`, `1: ${deep}`],
    ['a: b\nc: "d\n', '3: Missing closing "quote'],
    ["a: [b\nc: d\n", "2: Flow sequence in block collection must be sufficiently indented and end with a ]"],
    ["a: [b] [c]\n", "1: [ behind a value: put a comma between, or quote all of it"],
    [`a: ["b" "c"]\n`, '1: "c" behind a value: put a comma between, or quote all of it'],
    ["a: b\nc d\n", `2: ${noSpace}`],
    ["a: b\nc:d\ne: f\n", `2: ${noSpace}`],
    ["a: b\n   c: d\n", "1: is indented deeper than the line before"],
    ["a: - b\n", '1: an entry of a list, "- ", begins a line; within one write [a, b]'],
    ["a: b: c\n", '1: a second ": ": quote the text that it is in'],
  ])("%j", (text, problem) => {
    expect(refused(text)).toContain(problem);
  });

  it.each<[text: string, quoted: string]>([
    ["tenants: *\n", '1: quote it: tenants: "*"'],
    ["tenants: [acme, *]\n", '1: quote it: "*"'],
    ["tenants:\n  - *\n", '2: quote it: "*"'],
    ["name: *.example.org\n", '1: quote it: name: "*.example.org"'],
    ["tenants: {tenant}\n", '1: quote it: "{tenant}"'],
    ["tenants: [{tenant}]\n", '1: quote it: "{tenant}"'],
    ["subject: {tenant}:backend\n", '1: quote it: subject: "{tenant}:backend"'],
    ["who: { spiffe: spiffe://a/{tenant}/b }\n", '1: quote it: spiffe: "spiffe://a/{tenant}/b"'],
    ["who: { subject: a:{tenant}:b }\n", '1: quote it: subject: "a:{tenant}:b"'],
    ["tenants: [kms-{tenant}]\n", '1: quote it: "kms-{tenant}"'],
    ["subject: @acme\n", '1: quote it: subject: "@acme"'],
    ["subject: `acme`\n", '1: quote it: subject: "`acme`"'],
    ["subject: %a\n", '1: quote it: subject: "%a"'],
    ["subject: ,a\n", '1: quote it: subject: ","'],
  ])("and with what to write for %j", (text, quoted) => {
    expect(refused(text)).toEqual([quoted]);
  });

  const strange = "a line feed, or a character that nobody sees or that changes how text is seen: type the text anew";

  const unseen = ["\0", "\x7f", "d\u0085", "\u2028", "\u2029", "\u202Ed", "\u200Bd", "\ud800", "\uFFFD", "d\re: f"];
  const escaped = ['"d\\ne"', '"\\0"', '"\\u202E"', '"\\ud800"', "|\n  d"];
  const lines = ["# \x1b[2J", "c:\u00A0d", "\uFEFFc: d", '"c\\n": d'];
  it.each([...lines, ...[...unseen, ...escaped].map((value) => `c: ${value}`)])("what nobody sees: %j", (line) => {
    expect(refused(`a: b\n${line}\n`)).toEqual([`2: ${strange}`]);
  });

  it("UTF-16 that was read as bytes", () => {
    expect(refused(Buffer.from("a: b\n", "utf16le").toString("latin1"))).toEqual([`1: ${strange}`]);
  });

  it("all at once, in the order of lines, and one of each line", () => {
    expect(refused("a: *\nb: &c d\ne: !f *g\n")).toEqual([
      '1: quote it: a: "*"',
      "2: an anchor: write out what &c stands for",
      "3: a tag, !f: every value is text",
    ]);
    expect(refused("a:\nb: c\nb:\n")).toEqual(["1: a has no value", "3: a second b: a key stands once"]);
  });

  it("up to a hundred problems", () => {
    expect(refused("- *a\n".repeat(500))).toHaveLength(100);
    expect(refused("a\\: b\n".repeat(500).replaceAll("\\", ""))).toHaveLength(100);
    expect(refused('- "\\q"\n'.repeat(500))).toHaveLength(100);
  });

  it("with the beginning of a long text alone", () => {
    const anchor = (name: string) => `1: an anchor: write out what &${name} stands for`;
    expect(refused(`a: &${"b".repeat(200)} c\n`)).toEqual([anchor(`${"b".repeat(63)}…`)]);
    expect(refused(`a: &fkt_${"b".repeat(200)} c\n`)).toEqual([anchor("fkt_…")]);
    expect(refused(`a: &${"b".repeat(63)} c\n`)).toEqual([anchor("b".repeat(63))]);
  });

  it("without a token that was put in a key's or an anchor's place", () => {
    const token = `fkt_${"A".repeat(43)}`;
    const jwt = `eyJhbGciOiJSUzI1NiJ9.${"B".repeat(40)}`;
    for (const secret of [token, jwt]) {
      const texts = [
        `${secret}: a\n${secret}: b\n`,
        `a: &${secret} b\n`,
        `a: *${secret}\n`,
        `a: [b-${secret}{c}]\n`,
        `${secret}:\n`,
      ];
      for (const text of texts) expect(refused(text).join("\n")).not.toMatch(/A{5}|B{5}/);
    }
  });
});

describe("attack 63: a text that would cost the parser its stack, its memory or minutes", () => {
  const repeated = (piece: string) => piece.repeat(Math.floor(maxPolicyBytes / piece.length));

  it.each<[what: string, text: string, problem: string]>([
    ["an alias bomb", `a: &a [b]\n${"c: [*a, *a]\n".repeat(30)}`, "1: an anchor: write out what &a stands for"],
    ["open brackets", repeated("["), "1: is nested too deep"],
    ["open braces", repeated('{"a":'), "1: is nested too deep"],
    ["5,000 levels", `${"[".repeat(5000)}${"]".repeat(5000)}`, "1: is nested too deep"],
    ["closed brackets", repeated("]"), "1: ] closes nothing"],
    ["dashes", repeated("- "), "1: is nested too deep"],
    ["question marks", repeated("? "), "1: is nested too deep"],
    ["dashes between anchors", repeated("- &a "), "1: an anchor: write out what &a stands for"],
    ["dashes between tags", repeated("- !a "), "1: a tag, !a: every value is text"],
    ["dashes between keys", repeated("a: - "), '1: an entry of a list, "- ", begins a line; within one write [a, b]'],
    ["keys in keys", repeated("a: "), '1: a second ": ": quote the text that it is in'],
    [
      "lines that are deeper and deeper",
      Array.from({ length: 999 }, (_, at) => `${" ".repeat(at)}a:\n`).join(""),
      "122: is nested too deep",
    ],
    ["brackets side by side", repeated("[]"), "1: [ behind a value: put a comma between, or quote all of it"],
    ["quotes side by side", repeated('""'), '1: "" behind a value: put a comma between, or quote all of it'],
    ["documents", repeated("---\n"), "2: a second document: a policy is one"],
    ["directives", repeated("%YAML 1.2\n"), "1: a directive: a policy needs none"],
    [
      "a key of a MiB",
      `${"a".repeat(maxPolicyBytes - 3)}: b`,
      "1: The : indicator must be at most 1024 chars after the start of an implicit block mapping key",
    ],
    ["reserved characters", `[${repeated("@,").slice(2)}`, '1: quote it: "@"'],
  ])("%s", (_what, text, problem) => {
    expect(refused(text)[0]).toBe(problem);
  });

  it("a quote that is never closed: its problem has the beginning of it, and no token that is in it", () => {
    const [token, sha256] = [`fkt_${"A".repeat(43)}`, "0".repeat(64)];
    const entry = `  - name: a\n    sha256: ${sha256}\n    'oops: ${token}\n`;
    const problems = refused(`  version: "1"\nseparation: :on\ntokens:\n${entry.repeat(50)}`);
    const quoting = problems.filter((problem) => problem.includes("'oops: fkt_…"));
    expect(quoting).not.toEqual([]);
    for (const problem of problems) expect(problem.length).toBeLessThan(220);
    expect(problems.join()).not.toContain(token);
  });

  it("many keys of a mapping", () => {
    const keys = Array.from({ length: 5_000 }, (_, at) => `k${at}: v\n`).join("");
    expect(read(keys)).toHaveLength(5_000);
    expect(refused(`${keys}k7: v\n`)).toEqual(["5001: a second k7: a key stands once"]);
  });
});
