/** Texts that are nearly policies: written by hand and at random, and made wrong by pieces of YAML, by lines and by characters. */
import { stringify } from "yaml";
import type { Random } from "../../crash/random.ts";
import { rule, trusted } from "../../support/policy-fixture.ts";
import { randomPolicy } from "../../support/random-policy.ts";
import { generator } from "../../support/random-span.ts";

const whole = [
  trusted +
    rule() +
    rule({ name: "b", who: '{ spiffe: "spiffe://example.org/{tenant}/*" }', tenants: "{ captured: [a, b-*] }" }) +
    '  - { name: d, who: { spiffe: "spiffe://example.org/a/*" }, token: required }\n',
  `${trusted}  - name: c\n    who:\n      jwt:\n        issuer: sso\n        subject: "{tenant}"\n        claims: { /a/b: c }\n    roles:\n      - sign\n      - status\n    tenants: ["{tenant}", d]\n    limit: 5\n`,
  `{"version":"1","rules":[{"name":"a","who":{"token":"t"},"roles":["sign"],"tenants":{"claim":"x"}}],"tokens":[{"name":"t","sha256":"${"0".repeat(64)}"}]}`,
];

const pieces = [
  ...[
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "- ",
    "? ",
    ": ",
    ":",
    ",",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!t ",
    "!!str ",
    "|\n",
    ">-\n",
    "#",
    " #x",
  ],
  ...[
    "'",
    '"',
    "\\",
    "\\u0000",
    "\\x41",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "<<: ",
    "~",
    "@",
    "`",
    "\t",
    "\r",
    "\0",
    "\u2028",
    "\uFEFF",
    "é",
    "😀",
    "\ud800",
  ],
  ...[
    "version: 1",
    "rules:",
    "name: a",
    "who:",
    "roles:",
    "tenants:",
    "__proto__: ",
    "constructor: ",
    "{tenant}",
    '"*"',
    "acme-*",
    "1e3",
    "fkt_",
    "null",
  ],
];

export function randomPolicyText(random: Random): string {
  if (random.chance(0.1))
    return Buffer.from(random.bytes(random.below(300))).toString(random.pick(["latin1", "utf8", "utf16le"] as const));
  if (random.chance(0.3)) return Array.from({ length: random.below(120) }, () => random.pick(pieces)).join("");
  if (random.chance(0.05)) return random.pick(pieces)!.repeat(random.below(1_500));
  let text = random.chance(0.5) ? random.pick(whole)! : writtenPolicy(random);
  for (let left = random.pick([0, 1, 1, 2, 3, 4])!; left > 0; left -= 1) text = mutated(text, random);
  return text;
}

function writtenPolicy(random: Random): string {
  const policy = randomPolicy(generator(random.below(2 ** 31)));
  return random.chance(0.5) ? stringify(policy) : JSON.stringify(policy, undefined, random.below(3));
}

function mutated(text: string, random: Random): string {
  const [from, to, at] = [random.below(text.length + 1), random.below(text.length + 1), random.below(text.length + 1)];
  const [start, end] = [Math.min(from, to), Math.min(Math.max(from, to), Math.min(from, to) + 40)];
  const lines = text.split("\n");
  const line = random.below(lines.length);
  return random.pick([
    () => text.slice(0, at) + random.pick(pieces)! + text.slice(at),
    () => text.slice(0, start) + text.slice(end),
    () => text.slice(0, at) + text.slice(start, end) + text.slice(at),
    () => text.slice(0, start) + random.pick(pieces)! + text.slice(start + 1),
    () => lines.toSpliced(line, 1).join("\n"),
    () => lines.toSpliced(line, 0, lines[random.below(lines.length)]!).join("\n"),
    () => lines.with(line, " ".repeat(random.below(8)) + lines[line]!.trimStart()).join("\n"),
    () => text.slice(0, at),
  ])!();
}
