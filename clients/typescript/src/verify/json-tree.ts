/**
 * JSON as a tree that hides nothing: an object is a Map, so that `__proto__` is a key like others; a member that is there twice is refused,
 * of which parsers take the first or the last; a whole number that a double cannot hold
 * keeps its digits.
 */

export type JsonTree =
  | null
  | boolean
  | number
  | string
  | LongInteger
  | readonly JsonTree[]
  | ReadonlyMap<string, JsonTree>;

/** A whole number that a double cannot hold. */
export interface LongInteger {
  /** With its sign, as it is written. */
  readonly digits: string;
}

/** A text that is JSON, but with a member twice, or nested too deeply. */
export class AmbiguousJsonError extends Error {
  override readonly name = "AmbiguousJsonError";
}

const maxLevels = 512;
const [quote, backslash, space] = [0x22, 0x5c, 0x20];
const white = /[\t\n\r ]*/y;
const word = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;

/**
 * Throws SyntaxError for what is not JSON, AmbiguousJsonError for what parsers differ on. JSON.parse reads words and strings alone: on a
 * whole text, V8 before Node 26.12.1 learns from the names of one what it then misreads in others, in all of the process
 * (github.com/nodejs/node/issues/63785).
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
    if (level > maxLevels) throw new AmbiguousJsonError("the JSON is nested too deeply");
    const first = next();
    if (first === "{") return object(level);
    if (first === "[") return list(level);
    return first === '"' ? string() : scalar();
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
    const [spelling] = word.exec(text) ?? [];
    if (spelling === undefined) throw new SyntaxError("the text is not JSON");
    at = word.lastIndex;
    const parsed = JSON.parse(spelling) as null | boolean | number;
    const isLong = typeof parsed === "number" && !Number.isSafeInteger(parsed) && /^-?\d+$/.test(spelling);
    return isLong ? { digits: spelling } : parsed;
  }

  const tree = value(0);
  if (next() !== "") throw new SyntaxError("the text is not JSON");
  if (twice !== undefined) throw new AmbiguousJsonError(`${twice}: is there twice, and parsers differ on which counts`);
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
