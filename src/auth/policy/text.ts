/**
 * The text of a policy as a tree: a narrow part of YAML 1.2, and so of JSON. Every scalar is text, so that `no`, `0123` and dates are what is
 * written. What people would have to think about twice (anchors, aliases, tags, merge keys, tabs, a key twice, a second document) is refused.
 */
import type { Node, YAMLError } from "yaml";
import { refusedTokens, secondDocument, yaml } from "./yaml-tokens.ts";
import { quote } from "./quote.ts";

export type PolicyNode = TextNode | ListNode | MapNode;

export interface TextNode {
  readonly kind: "text";
  readonly text: string;
  readonly line: number;
}

export interface ListNode {
  readonly kind: "list";
  readonly items: readonly PolicyNode[];
  readonly line: number;
}

export interface MapNode {
  readonly kind: "map";
  readonly entries: readonly { readonly key: string; readonly line: number; readonly value: PolicyNode }[];
  readonly line: number;
}

export interface PolicyProblem {
  /** Line of the file, from 1. */
  line: number;
  /** What is wrong and what to do. */
  text: string;
}

export const maxPolicyBytes = 1_048_576;
/** Columns before a line's first word, which bound the depth of blocks. */
const maxIndent = 120;
/** More would be of no use to anybody. */
const maxProblems = 100;

/** The tree, or every problem. `what` is the kind of file, for problems. */
export function readPolicyText(given: string, what = "a policy"): PolicyNode | readonly PolicyProblem[] {
  const text = given.replace(/^\uFEFF/, "");
  const unread = unreadable(text);
  if (unread !== undefined) return [unread];
  const refused = refusedTokens(text, maxProblems, what);
  if (refused.length > 0) return refused;
  const { LineCounter, parseDocument } = yaml();
  const lines = new LineCounter();
  const lineOf = (at: number) => lines.linePos(at).line;
  const document = parseDocument(text, {
    schema: "failsafe",
    version: "1.2",
    strict: true,
    uniqueKeys: false, // a key twice is found in treeOf: the parser compares each key with each
    stringKeys: true,
    lineCounter: lines,
    prettyErrors: false,
    logLevel: "error",
  });
  const errors = [...document.errors, ...document.warnings].slice(0, maxProblems);
  if (errors.length > 0)
    return firstOfLines(errors.map((error) => ({ line: lineOf(error.pos[0]), text: words(error, what) })));
  if (document.contents === null) return [{ line: 1, text: "is empty" }];
  const problems: PolicyProblem[] = [];
  const tree = treeOf(document.contents, lineOf, problems);
  return problems.length > 0 ? firstOfLines(problems).slice(0, maxProblems) : tree;
}

/** What follows in the line of a problem is mostly of its making. */
function firstOfLines(problems: readonly PolicyProblem[]): PolicyProblem[] {
  const lines = new Map(problems.toReversed().map((problem) => [problem.line, problem]));
  return [...lines.values()].sort((a, b) => a.line - b.line);
}

/** The parser quotes what it does not expect, which may be all that follows. */
const wordsLength = 200;

/** Returns the parser's own words unless others lead to the mend. */
function words({ code, message }: YAMLError, what: string): string {
  if (code === "MULTIPLE_DOCS") return secondDocument(what);
  if (code === "BLOCK_AS_IMPLICIT_KEY") return "is indented deeper than the line before";
  const isNoKey = code === "MULTILINE_IMPLICIT_KEY" || message.startsWith("Implicit map keys");
  return isNoKey ? 'a key has ": " behind it, with a space, in its own line' : quote(message, wordsLength);
}

function treeOf(node: Node | null, lineOf: (at: number) => number, problems: PolicyProblem[], at = 1): PolicyNode {
  if (node === null) return { kind: "text", text: "", line: at };
  const { isMap, isScalar, isSeq } = yaml();
  const line = lineOf(node.range![0]);
  if (isScalar(node)) return textOf(String(node.value ?? ""), line, problems);
  if (isSeq(node)) {
    return { kind: "list", items: node.items.map((item) => treeOf(item as Node | null, lineOf, problems, line)), line };
  }
  if (!isMap(node)) throw new TypeError("a node of another kind");
  const names = new Set<string>();
  const entries = node.items.map(({ key, value }) => {
    const { text: name, line: keyLine } = treeOf(key as Node, lineOf, problems) as TextNode;
    const problem = (text: string) => void problems.push({ line: keyLine, text });
    if (name === "") problem("a key has no name");
    if (name === "<<") problem("a merge key: write out what it stands for");
    if (names.has(name)) problem(`a second ${quote(name)}: a key stands once`);
    names.add(name);
    if (value === null || (isScalar(value) && value.value === "" && !isQuoted(value))) {
      problem(node.flow && name === "tenant" ? 'quote it: "{tenant}"' : `${quote(name)} has no value`);
    }
    return { key: name, line: keyLine, value: treeOf(value as Node | null, lineOf, problems, keyLine) };
  });
  return { kind: "map", entries, line };
}

function textOf(text: string, line: number, problems: PolicyProblem[]): TextNode {
  if (strange.test(text)) problems.push({ line, text: strangeText });
  return { kind: "text", text, line };
}

function isQuoted({ type }: { type?: string | undefined }): boolean {
  return type === "QUOTE_DOUBLE" || type === "QUOTE_SINGLE";
}

/** Control characters, those that change what people see, halves of characters, what stands for bytes that are no UTF-8, and odd spaces. */
const strange = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029\uFFFD]|(?! )\p{Zs}/u;
const strangeText = "a line feed, or a character that nobody sees or that changes how text is seen: type the text anew";

/** What the parser should not be given: it would take what people see for something else. */
function unreadable(text: string): PolicyProblem | undefined {
  if (Buffer.byteLength(text) > maxPolicyBytes) return { line: 1, text: `is longer than ${maxPolicyBytes} bytes` };
  for (const [at, line] of text.split("\n").entries()) {
    const problem = (words: string) => ({ line: at + 1, text: words });
    if (line.includes("\t")) return problem("a tab: use spaces");
    if (strange.test(line.replace(/\r$/, ""))) return problem(strangeText);
    if (/^[ \-?:]*/.exec(line)![0].length > maxIndent) return problem("is nested too deep");
  }
  return undefined;
}
