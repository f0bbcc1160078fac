/**
 * JSON as a tree that hides nothing: an object is a Map, so that `__proto__` is a key like others; a member that is there twice is refused,
 * of which parsers take the first or the last; a number is as it is written.
 */
import { MalformedError } from "./malformed.ts";

export type JsonTree = null | boolean | string | JsonNumber | readonly JsonTree[] | ReadonlyMap<string, JsonTree>;

export class JsonNumber {
  /** Fits numberForm. */
  readonly spelling: string;

  constructor(spelling: string) {
    this.spelling = spelling;
  }
}

/** A number of RFC 8259: its sign, whole part, fraction and exponent. */
export const numberForm = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/;

const maxLevels = 512;
const [quote, backslash] = [0x22, 0x5c];
const white = /[\t\n\r ]*/y;
const wordForm = /[-+.\w]+/y;
const words: ReadonlyMap<string, JsonTree> = new Map([
  ["null", null],
  ["true", true],
  ["false", false],
]);

/**
 * Throws SyntaxError for what is not JSON, MalformedError for what parsers differ on. JSON.parse reads strings alone: on a
 * whole text, V8 before Node 26.12.1 learns from the names of one what it then misreads in others, in all of the process (github.com/nodejs/node/issues/63785).
 */
export function parseJson(text: string): JsonTree {
  let at = 0;
  let twice: string | undefined;

  /** The character behind white space; empty at the end. */
  function next(): string {
    white.lastIndex = at;
    white.test(text);
    at = white.lastIndex;
    return text.charAt(at);
  }

  /** Whether the next character is this one, which then is taken. */
  function takes(character: string): boolean {
    const is = next() === character;
    if (is) at += 1;
    return is;
  }

  function take(character: string): void {
    if (!takes(character)) throw notJson();
  }

  function value(level: number): JsonTree {
    const first = next();
    if (first === '"') return string();
    if (first !== "{" && first !== "[") return word();
    if (level > maxLevels) throw notJson(); // whatever follows: more than the messages of an export nest
    at += 1;
    if (first === "{") {
      const members = new Map<string, JsonTree>();
      each("}", () => {
        next();
        const name = string();
        if (members.has(name)) twice ??= name;
        take(":");
        members.set(name, value(level + 1));
      });
      return members;
    }
    const items: JsonTree[] = [];
    each("]", () => items.push(value(level + 1)));
    return items;
  }

  /** Members or items up to the end of their object or list. */
  function each(end: string, read: () => void): void {
    if (takes(end)) return;
    do read();
    while (takes(","));
    take(end);
  }

  /** A loop, not an expression: many escapes would overflow its stack. */
  function string(): string {
    const start = at;
    if (text.charCodeAt(start) !== quote) throw notJson();
    for (at += 1; at < text.length && text.charCodeAt(at) !== quote; at += 1)
      if (text.charCodeAt(at) === backslash) at += 1;
    at += 1;
    // Refuses what is no string of JSON, such as one that does not end.
    return JSON.parse(text.slice(start, at)) as string;
  }

  function word(): JsonTree {
    wordForm.lastIndex = at;
    const [spelling = ""] = wordForm.exec(text) ?? [];
    at += spelling.length;
    const known = words.get(spelling);
    if (known !== undefined) return known;
    if (!numberForm.test(spelling)) throw notJson();
    return new JsonNumber(spelling);
  }

  const tree = value(1);
  if (next() !== "") throw notJson();
  if (twice !== undefined) throw new MalformedError(`${twice}: is there twice, and parsers differ on which counts`);
  return tree;
}

function notJson(): SyntaxError {
  return new SyntaxError("the text is not JSON");
}
