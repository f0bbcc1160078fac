/** JSON of a message, made wrong as values and as text. */
import type { Random } from "../crash/random.ts";

/** Stands for text that JSON.stringify would not write. */
const mark = "@raw@";

const raw = [
  ...[
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e400",
    "-0",
    "12345678901234567890",
    "1e-400",
    '"NaN"',
    '"Infinity"',
    '""',
    '"x"',
  ],
  ...[
    "[]",
    "{}",
    "[[]]",
    '{"a":{}}',
    '"\\ud800"',
    '"\\ud83d\\ude42"',
    '"\\u0000"',
    '"__proto__"',
    '"-1"',
    '"1e3"',
    '" 1"',
  ],
  ...[
    '"2026-01-01T00:00:00Z"',
    '"0000-01-01T00:00:00Z"',
    '"10000-01-01T00:00:00Z"',
    '"3600s"',
    '"315576000001s"',
    '"AQ=="',
    '"A"',
  ],
];

const members = [
  '"hunter2":1',
  '"tenantId":"acme"',
  '"tenant_id":"acme"',
  '"__proto__":{}',
  '"constructor":1',
  '"":1',
  '"\\ud800":1',
  '"tenantI\\\\":"acme"',
  '"\\u00e9":1',
];

type TextChange = (text: string, random: Random) => string | Buffer;

const textChanges: readonly TextChange[] = [
  (text) => text,
  (text) => text,
  (text) => text,
  (text, random) => text.slice(0, random.below(text.length + 1)),
  function oneMemberMore(text, random) {
    const opens = [...text.matchAll(/\{/g)].map(({ index }) => index + 1);
    const at = random.pick(opens) ?? 0;
    const member = random.pick(members)!;
    return `${text.slice(0, at)}${member}${text[at] === "}" ? "" : ","}${text.slice(at)}`;
  },
  function twice(text, random) {
    const found = [...text.matchAll(/"\w+":(?:"[^"\\]*"|\d+|true)/g)].map(([member]) => member);
    const member = random.pick(found);
    return member === undefined ? text : text.replace(member, `${member},${member}`);
  },
  function namesEscaped(text, random) {
    return text.replace(/"(\w*)(\w)"(?=:)/g, (name, start: string, last: string) =>
      random.chance(0.5) ? name : `"${start}\\u${last.charCodeAt(0).toString(16).padStart(4, "0")}"`,
    );
  },
  (text, random) => "[".repeat(random.pick([1, 100, 20_000])!) + text,
  (_text, random) =>
    `{"span":{"attributes":[${'{"value":{"arrayValue":{"values":['.repeat(random.pick([10, 40, 200])!)}`,
  (text) => `\ufeff${text}`,
  (text) => `${text}\0`,
  (text) => `${text}${text}`,
  (text) => text.replaceAll('"', "'"),
  function notUtf8(text, random) {
    const bytes = Buffer.from(text);
    const at = random.below(bytes.length + 1);
    return Buffer.concat([
      bytes.subarray(0, at),
      Buffer.from(random.pick(["ff", "c080", "eda080"])!, "hex"),
      bytes.subarray(at),
    ]);
  },
  () => "",
];

export function mutatedJson(value: unknown, random: Random): Buffer {
  const copy = JSON.parse(JSON.stringify(value));
  const places = placesIn(copy);
  for (let changes = random.pick([0, 0, 1, 1, 3])!; changes > 0; changes -= 1) {
    const place = random.pick(places);
    if (place) place.in[place.key] = `${mark}${random.pick(raw)}${mark}`;
  }
  const text = JSON.stringify(copy).replace(/"@raw@((?:[^@]|@(?!raw@))*)@raw@"/g, (_all, inner) =>
    JSON.parse(`"${inner}"`),
  );
  return Buffer.from(random.pick(textChanges)!(text, random) as string);
}

function placesIn(value: unknown): { in: Record<string, unknown>; key: string }[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    { in: value as Record<string, unknown>, key },
    ...placesIn(inner),
  ]);
}
