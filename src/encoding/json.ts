/**
 * Reads JSON (RFC 8259) that somebody else wrote. Not by JSON.parse: V8 before Node 26.12.1 looks up the name of a member by its
 * spelling, so that reading `"\\"` once makes it read `"\u00e9"` as a backslash from then on, whoever sends it
 * (github.com/nodejs/node/issues/63785). JSON.parse also drops a member that is there twice, where other readers keep the first,
 * and rounds integers.
 */

/** Why a text is not read. The message quotes nothing of the text. */
export class JsonError extends Error {
  readonly reason: "syntax" | "depth" | "repeated";
  /** Name of a member that an object has twice. */
  readonly member: string | undefined;

  constructor(message: string, reason: JsonError["reason"], member?: string) {
    super(message);
    this.reason = reason;
    this.member = member;
  }
}

/**
 * Makes the value of a number from its spelling. `name` is that of the member that holds the number, or that holds the list which
 * the number is in; empty at the top.
 */
export type NumberReader = (spelling: string, name: string) => unknown;

interface Cursor {
  readonly text: string;
  at: number;
  readonly number: NumberReader;
  /** Name of the first member that was there before. */
  repeated: string | undefined;
}

/** Deeper than a hundred messages of protobuf nest, and short of the stack. */
const maxDepth = 512;
const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
const [letterT, letterF, letterN] = [0x74, 0x66, 0x6e];
const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;

/** Reads a text whole. Throws JsonError; a member that is there twice is told of if nothing else is wrong. */
export function readJson(text: string, number: NumberReader = Number): unknown {
  const cursor: Cursor = { text, at: 0, number, repeated: undefined };
  const value = readValue(cursor, "", 0);
  if (!Number.isNaN(next(cursor))) throw syntaxError();
  if (cursor.repeated !== undefined) throw new JsonError("has a member twice", "repeated", cursor.repeated);
  return value;
}

/** Reads bytes in UTF-8, without a byte order mark. Throws JsonError. */
export function readJsonBytes(bytes: Uint8Array): unknown {
  return readJson(utf8(bytes));
}

/** True if a member's name is spelt with an escape in a text that {@link readJson} takes. Other readers may misread it. */
export function hasEscapedName(text: string): boolean {
  // A string before a colon is a name.
  return text
    .matchAll(/"((?:[^"\\]|\\.)*)"[\t\n\r ]*(:?)/g)
    .some(([, spelling, isName]) => isName === ":" && spelling!.includes("\\"));
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new JsonError("is not UTF-8", "syntax");
  }
}

function readValue(cursor: Cursor, name: string, depth: number): unknown {
  switch (next(cursor)) {
    case quote:
      return readString(cursor);
    case openBrace:
      return readObject(cursor, depth + 1);
    case openBracket:
      return readList(cursor, name, depth + 1);
    case letterT:
      return readWord(cursor, "true", true);
    case letterF:
      return readWord(cursor, "false", false);
    case letterN:
      return readWord(cursor, "null", null);
    default:
      return readNumber(cursor, name);
  }
}

function readObject(cursor: Cursor, depth: number): Record<string, unknown> {
  const members: Record<string, unknown> = {};
  enter(cursor, depth);
  if (next(cursor) === closeBrace) return close(cursor, members);
  for (;;) {
    if (next(cursor) !== quote) throw syntaxError();
    const name = readString(cursor);
    if (Object.hasOwn(members, name)) cursor.repeated ??= name;
    if (next(cursor) !== colon) throw syntaxError();
    cursor.at += 1;
    setMember(members, name, readValue(cursor, name, depth));
    const unit = next(cursor);
    if (unit === closeBrace) return close(cursor, members);
    if (unit !== comma) throw syntaxError();
    cursor.at += 1;
  }
}

/** An assignment to `__proto__` would set the prototype. */
function setMember(members: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") members[name] = value;
  else Object.defineProperty(members, name, { value, configurable: true, enumerable: true, writable: true });
}

function readList(cursor: Cursor, name: string, depth: number): unknown[] {
  enter(cursor, depth);
  if (next(cursor) === closeBracket) return close(cursor, []);
  // An empty list would get room for 17 items with its first one.
  const items = [readValue(cursor, name, depth)];
  for (let unit = next(cursor); unit !== closeBracket; unit = next(cursor)) {
    if (unit !== comma) throw syntaxError();
    cursor.at += 1;
    items.push(readValue(cursor, name, depth));
  }
  return close(cursor, items);
}

function enter(cursor: Cursor, depth: number): void {
  if (depth > maxDepth) throw new JsonError("is nested too deeply", "depth");
  cursor.at += 1;
}

function close<T>(cursor: Cursor, value: T): T {
  cursor.at += 1;
  return value;
}

/** V8 copies a slice of up to so many characters. A longer one keeps the whole text in memory for as long as it is used. */
const copiedLength = 12;

function readString(cursor: Cursor): string {
  const { text } = cursor;
  const start = cursor.at + 1;
  for (let at = start; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === backslash) return readEscaped(cursor, at);
    if (unit < 0x20) break;
    if (unit !== quote) continue;
    cursor.at = at + 1;
    return at - start <= copiedLength ? text.slice(start, at) : parsed(text.slice(start - 1, at + 1));
  }
  throw syntaxError();
}

/** Reads a string whose first escape is at `from`. */
function readEscaped(cursor: Cursor, from: number): string {
  const { text, at: start } = cursor;
  let at = from;
  while (at < text.length && text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1;
  cursor.at = at + 1;
  return parsed(text.slice(start, cursor.at));
}

/** Makes a string of its own from one with its quotes. JSON.parse misreads names of members, not strings alone. */
function parsed(string: string): string {
  try {
    return JSON.parse(string);
  } catch {
    throw syntaxError();
  }
}

function readWord<T>(cursor: Cursor, word: string, value: T): T {
  if (!cursor.text.startsWith(word, cursor.at)) throw syntaxError();
  cursor.at += word.length;
  return value;
}

function readNumber(cursor: Cursor, name: string): unknown {
  numberPattern.lastIndex = cursor.at;
  const spelling = numberPattern.exec(cursor.text)?.[0];
  if (spelling === undefined) throw syntaxError();
  cursor.at += spelling.length;
  return cursor.number(spelling, name);
}

/** Skips white space and returns the code unit behind it; NaN at the end of the text. */
function next(cursor: Cursor): number {
  for (;;) {
    const unit = cursor.text.charCodeAt(cursor.at);
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return unit;
    cursor.at += 1;
  }
}

function syntaxError(): JsonError {
  return new JsonError("is no JSON", "syntax");
}
