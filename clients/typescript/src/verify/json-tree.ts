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
const token = /\s*([{}[\]:,"]|[^\s{}[\]:,"]+)/y;
const [quote, backslash] = [0x22, 0x5c];

/** Throws SyntaxError for what is not JSON, AmbiguousJsonError for what parsers differ on. */
export function parseJson(text: string): JsonTree {
  // The platform's parser says what JSON is; the tree is then read from a text that is.
  JSON.parse(text);
  let at = 0;

  function next(): string {
    token.lastIndex = at;
    const word = token.exec(text)![1]!;
    const start = token.lastIndex - word.length;
    at = word === '"' ? endOfString(text, start) : token.lastIndex;
    return text.slice(start, at);
  }

  function value(word: string, level: number): JsonTree {
    if (level > maxLevels) throw new AmbiguousJsonError("the JSON is nested too deeply");
    if (word === "{") return object(level);
    if (word === "[") return list(level);
    const parsed = JSON.parse(word) as null | boolean | number | string;
    return typeof parsed === "number" && !Number.isSafeInteger(parsed) && /^-?\d+$/.test(word)
      ? { digits: word }
      : parsed;
  }

  function object(level: number): JsonTree {
    const members = new Map<string, JsonTree>();
    for (let word = next(); word !== "}"; word = next()) {
      if (word === ",") continue;
      const name = JSON.parse(word) as string;
      if (members.has(name))
        throw new AmbiguousJsonError(`${name}: is there twice, and parsers differ on which counts`);
      next(); // the colon
      members.set(name, value(next(), level + 1));
    }
    return members;
  }

  function list(level: number): JsonTree {
    const items: JsonTree[] = [];
    for (let word = next(); word !== "]"; word = next()) if (word !== ",") items.push(value(word, level + 1));
    return items;
  }

  return value(next(), 0);
}

/** Behind the closing quote. No expression: many escapes would overflow its stack. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === quote) return at + 1;
    if (unit === backslash) at += 1;
  }
}
