/**
 * Numbers in a JSON text as they are written there: JSON.parse rounds those that no double holds. A reviver would be given their `source`, but
 * on some texts V8 of Node 26.10 then corrupts the memory of the process.
 */

export interface WrittenNumber {
  /** Name of the member that holds the number, or the list that it is in; empty at the top. */
  name: string;
  /** text.slice(start, end) is the number. */
  start: number;
  end: number;
}

const [quote, backslash, colon] = [0x22, 0x5c, 0x3a];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
const [minus, zero, nine] = [0x2d, 0x30, 0x39];

/** Yields the numbers of a text that JSON.parse takes, in order. */
export function* numbersIn(text: string): Generator<WrittenNumber, void, undefined> {
  const outer: string[] = [];
  let name = "";
  for (let at = 0; at < text.length; ) {
    const unit = text.charCodeAt(at);
    const start = at;
    at += 1;
    if (unit === quote) {
      at = endOfString(text, start);
      const isName = text.charCodeAt(endOfSpace(text, at)) === colon;
      if (isName) name = stringAt(text, start, at);
    } else if (unit === openBrace || unit === openBracket) {
      outer.push(name);
    } else if (unit === closeBrace || unit === closeBracket) {
      name = outer.pop()!;
    } else if (unit === minus || (unit >= zero && unit <= nine)) {
      at = endOfNumber(text, start);
      yield { name, start, end: at };
    }
  }
}

/** Index behind the closing quote of the string that begins at `start`. */
export function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === quote) return at + 1;
    if (unit === backslash) at += 1;
  }
}

/** The string between `start` and `end`, both its quotes included. */
export function stringAt(text: string, start: number, end: number): string {
  const spelled = text.slice(start + 1, end - 1);
  return spelled.includes("\\") ? JSON.parse(`"${spelled}"`) : spelled;
}

function endOfSpace(text: string, start: number): number {
  let at = start;
  while (text.charCodeAt(at) <= 0x20) at += 1;
  return at;
}

const partOfNumber = /[-+.0-9eE]/;

function endOfNumber(text: string, start: number): number {
  let at = start;
  while (at < text.length && partOfNumber.test(text[at]!)) at += 1;
  return at;
}
