/**
 * Refuses the parts of YAML that a policy does without, token by token, before the parser sees them: it would spend minutes or its whole
 * stack on some of them. Each problem says what to write instead.
 */
import { createRequire } from "node:module";
import type { CST } from "yaml";
import { quote } from "./quote.ts";

let loaded: typeof import("yaml") | undefined;

/** Loads the parser at its first use: it takes 40 ms, which a service without a file in YAML need not wait for. */
export function yaml(): typeof import("yaml") {
  loaded ??= createRequire(import.meta.url)("yaml") as typeof import("yaml");
  return loaded;
}

export interface Refused {
  line: number;
  text: string;
}

interface Token {
  type: CST.TokenType | "text";
  source: string;
  at: number;
  line: number;
}

/** State of the scan behind some tokens. */
interface ScanState {
  /** The last token that is no space, line feed or comment. */
  last: Token | undefined;
  /** Where the value behind the last colon begins, by depth of brackets; undefined if there is no colon in the line or pair. */
  values: (number | undefined)[];
  /** Where the last brace was opened. */
  braceAt: number;
  /** Whether the line has more than "- " so far. */
  isFilled: boolean;
}

/** Depth of brackets within brackets; beyond some hundred the parser runs out of stack. */
const maxDepth = 32;
const tooDeep = "is nested too deep";

/** Returns the first problem of each line, and ends behind `most` problems in all. `what` is the kind of file: `a policy`. */
export function refusedTokens(text: string, most: number, what: string): Refused[] {
  const problems: Refused[] = [];
  const state: ScanState = { last: undefined, values: [undefined], braceAt: 0, isFilled: false };
  let left = most;
  for (const token of tokensOf(text)) {
    const problem = problemOf(token, state, { text, what });
    const { line } = token;
    if (problem !== undefined) {
      left -= 1;
      if (problems.at(-1)?.line !== line) problems.push({ line, text: problem });
      if (problem === tooDeep || problem === secondDocument(what) || left === 0) break;
    }
    note(token, state);
  }
  return problems;
}

function* tokensOf(text: string): Generator<Token> {
  let [at, line] = [0, 1];
  let isText = false;
  const { CST, Lexer } = yaml();
  for (const source of new Lexer().lex(text)) {
    if (source === CST.DOCUMENT || source === CST.FLOW_END) continue;
    if (source === CST.SCALAR) {
      isText = true;
      continue;
    }
    yield { type: isText ? "text" : (CST.tokenType(source) ?? "text"), source, at, line };
    isText = false;
    at += source.length;
    for (let end = source.indexOf("\n"); end >= 0; end = source.indexOf("\n", end + 1)) line += 1;
  }
}

const layout: ReadonlySet<string> = new Set(["space", "newline", "comment", "byte-order-mark"]);
const quoted = ["single-quoted-scalar", "double-quoted-scalar"];
const starts: ReadonlySet<string> = new Set(["text", ...quoted, "flow-map-start", "flow-seq-start"]);
const ends: ReadonlySet<string> = new Set(["text", ...quoted, "flow-map-end", "flow-seq-end"]);

export function secondDocument(what: string): string {
  return `a second document: ${what} is one`;
}

function problemOf(token: Token, state: ScanState, { text, what }: { text: string; what: string }): string | undefined {
  const { type, source, at } = token;
  const { last, values } = state;
  const isInFlow = values.length > 1;
  if (last?.line === token.line && starts.has(type) && ends.has(last.type)) return sideBySide(last, token, state, text);
  switch (type) {
    case "doc-start":
      return last === undefined ? undefined : secondDocument(what);
    case "directive-line":
      return `a directive: ${what} needs none`;
    case "anchor":
      return `an anchor: write out what ${quote(source)} stands for`;
    case "tag":
      return `a tag, ${quote(source)}: every value is text`;
    case "alias":
      return quoteIt(text, at);
    case "explicit-key-ind":
      return "a key that begins with ?: write key: value";
    case "seq-item-ind":
      return !isInFlow && state.isFilled
        ? 'an entry of a list, "- ", begins a line; within one write [a, b]'
        : undefined;
    case "map-value-ind":
      return secondColon(token, values.at(-1), text);
    case "flow-map-start":
    case "flow-seq-start":
      return values.length > maxDepth ? tooDeep : undefined;
    case "flow-map-end":
    case "flow-seq-end":
      return isInFlow ? undefined : `${source} closes nothing`;
    case "text":
      return /^[@`%,]/.test(source) ? quoteIt(text, at) : undefined;
    default:
      return undefined;
  }
}

/** Two values of which a comma should part, or which should be one text. */
function sideBySide(last: Token, token: Token, { braceAt }: ScanState, text: string): string {
  const isOne = last.at + last.source.length === token.at;
  if (isOne && last.type === "text") return quoteIt(text, last.at);
  if (isOne && last.type === "flow-map-end") return quoteIt(text, braceAt);
  return `${quote(token.source)} behind a value: put a comma between, or quote all of it`;
}

function secondColon({ at }: Token, valueAt: number | undefined, text: string): string | undefined {
  if (valueAt === undefined) return undefined;
  return /\s/.test(text.charAt(at + 1)) ? 'a second ": ": quote the text that it is in' : quoteIt(text, valueAt);
}

function note(token: Token, state: ScanState): void {
  const { type, source, at } = token;
  const { values } = state;
  if (source.includes("\n")) {
    state.isFilled = false;
    if (values.length === 1) values[0] = undefined;
  }
  if (type === "flow-map-start") state.braceAt = at;
  if (type === "flow-map-start" || type === "flow-seq-start") values.push(undefined);
  if ((type === "flow-map-end" || type === "flow-seq-end") && values.length > 1) values.pop();
  if (type === "comma") values[values.length - 1] = undefined;
  if (type === "map-value-ind") values[values.length - 1] = at + 1;
  if (layout.has(type)) return;
  // The text of a block ends with its line.
  if (type !== "seq-item-ind" && source !== "" && !source.endsWith("\n")) state.isFilled = true;
  state.last = token;
}

/** How far is looked for a key and its value: the file may be one line. */
const keyLength = 64;
const wordLength = 256;

/** The text that begins there with its key, and in quotes. */
function quoteIt(text: string, at: number): string {
  const key = /([\w-]+:)\s*$/.exec(text.slice(Math.max(0, at - keyLength), at))?.[1];
  const word = /^ *([^\s,"]+)/.exec(text.slice(at, at + wordLength))?.[1] ?? text.charAt(at);
  return `quote it: ${key ? `${key} ` : ""}"${quote(withoutClosers(word))}"`;
}

/** Text without the brackets at its end that were opened before it. */
function withoutClosers(word: string): string {
  const count = (brackets: RegExp) => word.match(brackets)?.length ?? 0;
  const surplus = Math.max(0, count(/[\]}]/g) - count(/[[{]/g));
  return word.replace(new RegExp(`[\\]}]{0,${surplus}}$`), "");
}
