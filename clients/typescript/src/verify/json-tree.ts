/**
 * JSON as a tree that hides nothing: an object is a Map, so that `__proto__` is a key like others; a member that is there twice is refused,
 * of which parsers take the first or the last; a number is as it is written.
 */
import { MalformedError } from "./malformed.ts";

export type JsonTree = null | boolean | string | JsonNumber | readonly JsonTree[] | ReadonlyMap<string, JsonTree>;

export class JsonNumber {
  /** Of numberForm. */
  readonly spelling: string;

  constructor(spelling: string) {
    this.spelling = spelling;
  }
}

/** A number of RFC 8259. */
export const numberForm = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

const maxLevels = 512;
const [quote, backslash, space] = [0x22, 0x5c, 0x20];
const white = /[\t\n\r ]*/y;
const word = /[-+.\w]+/y;
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

  function take(character: string): void {
    if (next() !== character) throw new SyntaxError("the text is not JSON");
    at += 1;
  }

  /** Whether the next character is this one, which then is taken. */
  function takes(character: string): boolean {
    const is = next() === character;
    if (is) at += 1;
    return is;
  }

  function value(level: number): JsonTree {
    const first = next();
    if (first === '"') return string();
    if (first !== "{" && first !== "[") return scalar();
    if (level > maxLevels) throw new MalformedError("the JSON is nested too deeply");
    return first === "{" ? object(level) : list(level);
  }

  function object(level: number): JsonTree {
    const members = new Map<string, JsonTree>();
    take("{");
    if (takes("}")) return members;
    do {
      next();
      const name = string();
      if (members.has(name)) twice ??= name;
      take(":");
      members.set(name, value(level + 1));
    } while (takes(","));
    take("}");
    return members;
  }

  function list(level: number): JsonTree {
    const items: JsonTree[] = [];
    take("[");
    if (takes("]")) return items;
    do items.push(value(level + 1));
    while (takes(","));
    take("]");
    return items;
  }

  function string(): string {
    const start = at;
    at = endOfString(text, start);
    return JSON.parse(text.slice(start, at)) as string;
  }

  function scalar(): JsonTree {
    word.lastIndex = at;
    const [spelling = ""] = word.exec(text) ?? [];
    at += spelling.length;
    const known = words.get(spelling);
    if (known !== undefined) return known;
    if (!numberForm.test(spelling)) throw new SyntaxError("the text is not JSON");
    return new JsonNumber(spelling);
  }

  const tree = value(1);
  if (next() !== "") throw new SyntaxError("the text is not JSON");
  if (twice !== undefined) throw new MalformedError(`${twice}: is there twice, and parsers differ on which counts`);
  return tree;
}

/** Behind the closing quote. No expression: many escapes would overflow its stack. Throws SyntaxError where no string begins or ends. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; text.charCodeAt(start) === quote && at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === quote) return at + 1;
    if (unit < space) break;
    if (unit === backslash) at += 1;
  }
  throw new SyntaxError("the text is not JSON");
}
