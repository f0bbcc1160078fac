/** Positions of values in a JSON text that encoding/json.ts has read. */

import { readJson } from "../../encoding/json.ts";

/** A value: text.slice(start, end). */
export interface JsonNode {
  start: number;
  end: number;
  members?: ReadonlyMap<string, JsonNode>;
  items?: readonly JsonNode[];
}

interface Scan {
  text: string;
  at: number;
  /** Members and items are kept this many levels down. */
  keptLevels: number;
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

/** Finds the value of a text, and members and items within it as many levels down as are asked for. */
export function locate(text: string, keptLevels: number): JsonNode {
  return valueAt({ text, at: 0, keptLevels }, 0);
}

function valueAt(scan: Scan, level: number): JsonNode {
  const start = skipSpace(scan);
  const first = scan.text.charCodeAt(start);
  if (first === openBrace) return objectAt(scan, level);
  if (first === openBracket) return listAt(scan, level);
  scan.at = first === quote ? endOfString(scan.text, start) : endOfWord(scan.text, start);
  return { start, end: scan.at };
}

function objectAt(scan: Scan, level: number): JsonNode {
  const start = scan.at;
  const members = new Map<string, JsonNode>();
  for (let next = enter(scan, closeBrace); next !== closeBrace; next = step(scan)) {
    const name = nameAt(scan);
    skipSpace(scan);
    scan.at += 1; // the colon
    const value = valueAt(scan, level + 1);
    if (level < scan.keptLevels) members.set(name, value);
  }
  return { start, end: scan.at, members };
}

function listAt(scan: Scan, level: number): JsonNode {
  const start = scan.at;
  const items: JsonNode[] = [];
  for (let next = enter(scan, closeBracket); next !== closeBracket; next = step(scan)) {
    const item = valueAt(scan, level + 1);
    if (level < scan.keptLevels) items.push(item);
  }
  return { start, end: scan.at, items };
}

/** Goes behind the opening bracket, and behind the closing one where nothing is between them. */
function enter(scan: Scan, close: number): number {
  scan.at += 1;
  const next = scan.text.charCodeAt(skipSpace(scan));
  if (next === close) scan.at += 1;
  return next;
}

/** Goes behind the comma or the closing bracket, and returns which it is. */
function step(scan: Scan): number {
  const next = scan.text.charCodeAt(skipSpace(scan));
  scan.at += 1;
  return next;
}

function nameAt(scan: Scan): string {
  const start = skipSpace(scan);
  scan.at = endOfString(scan.text, start);
  return readJson(scan.text.slice(start, scan.at)) as string;
}

/** Index behind the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === quote) return at + 1;
    if (unit === backslash) at += 1;
  }
}

function skipSpace(scan: Scan): number {
  while (scan.text.charCodeAt(scan.at) <= 0x20) scan.at += 1;
  return scan.at;
}

/** A number, true, false or null. */
function endOfWord(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit <= 0x20 || unit === comma || unit === closeBrace || unit === closeBracket) break;
  }
  return at;
}
