/**
 * The members of the objects that lists of attributes and maps become: written as they come on the wire, brought into RFC 8785's order when
 * their object closes. Keys are compared where they lie on the wire, in UTF-8.
 */
import { close, closeObject, type Json } from "./jcs.ts";
import { refusedAt } from "../encoding/wire-error.ts";
import { copyWords } from "../encoding/digits.ts";

/** The members of the objects that are open, which nest. */
export interface Members {
  /** Of each member where its key starts and ends on the wire, and where it was written. */
  open: Int32Array;
  /** How many there are. */
  count: number;
  /** By number of members, the order of the last object with so many: spans from one place have the same keys. */
  readonly orders: number[][];
}

const numbersAMember = 3;
const keyStart = 0;
const keyEnd = 1;
const writtenAt = 2;

const usualMembers = 512;
const mostMembersKept = 128;

/** Above this many, the general sort beats insertion. */
const mostInserted = 20;

export function newMembers(): Members {
  return { open: new Int32Array(usualMembers * numbersAMember), count: 0, orders: [] };
}

/** Adds the member that is written at `at`. */
export function addMember(members: Members, start: number, end: number, at: number): void {
  const place = members.count * numbersAMember;
  if (place === members.open.length) members.open = doubled(members.open);
  const { open } = members;
  open[place + keyStart] = start;
  open[place + keyEnd] = end;
  open[place + writtenAt] = at;
  members.count += 1;
}

/** Closes the object whose members are those from `base` on. A key that is there twice is refused, with its place in `list`. */
export function closeMembers(members: Members, base: number, wire: Uint8Array, json: Json, list: string): void {
  const order = orderOf(members, base, wire, list);
  if (!isAsWritten(order)) rearrange(members, base, order, json);
  members.count = base;
  close(json, closeObject);
}

function orderOf({ open, count, orders }: Members, base: number, wire: Uint8Array, list: string): number[] {
  const last = orders[count - base];
  if (last !== undefined && firstNotAbove(open, base, wire, last) === undefined) return last;
  const order = sorted(open, base, wire, count - base);
  const twice = firstNotAbove(open, base, wire, order);
  if (twice !== undefined)
    throw refusedAt(`${list}[${twice}].key`, "another entry of this list has the same key; keep one");
  if (order.length <= mostMembersKept) orders[order.length] = order;
  return order;
}

/** The first member whose key is not above that of the one before it. */
function firstNotAbove(open: Int32Array, base: number, wire: Uint8Array, order: readonly number[]): number | undefined {
  for (let i = 1; i < order.length; i += 1) {
    if (compareMembers(open, base, wire, order[i - 1]!, order[i]!) >= 0) return order[i];
  }
  return undefined;
}

/** Members with the same key keep their order. */
function sorted(open: Int32Array, base: number, wire: Uint8Array, count: number): number[] {
  const order = Array.from({ length: count }, (_, member) => member);
  if (count > mostInserted) return order.sort((a, b) => compareMembers(open, base, wire, a, b) || a - b);
  for (let i = 1; i < count; i += 1) {
    let j = i - 1;
    for (; j >= 0 && compareMembers(open, base, wire, order[j]!, i) > 0; j -= 1) order[j + 1] = order[j]!;
    order[j + 1] = i;
  }
  return order;
}

function isAsWritten(order: readonly number[]): boolean {
  for (let i = 0; i < order.length; i += 1) if (order[i] !== i) return false;
  return true;
}

/** Writes the members once more, in order, behind themselves, and moves that to where they were. */
function rearrange({ open, count }: Members, base: number, order: readonly number[], json: Json): void {
  const { bytes, view, at: end } = json;
  let at = end;
  for (const member of order) {
    const place = (base + member) * numbersAMember + writtenAt;
    const from = open[place]!;
    const to = base + member + 1 < count ? open[place + numbersAMember]! : end;
    copyWords(view, at, view, from, to);
    at += to - from;
  }
  bytes.copyWithin(open[base * numbersAMember + writtenAt]!, end, at);
}

function compareMembers(open: Int32Array, base: number, wire: Uint8Array, a: number, b: number): number {
  const atA = (base + a) * numbersAMember;
  const atB = (base + b) * numbersAMember;
  return compareKeys(wire, open[atA + keyStart]!, open[atA + keyEnd]!, open[atB + keyStart]!, open[atB + keyEnd]!);
}

/**
 * By UTF-16 code units. UTF-8 sorts by code points, which differs only where one key has a code point above U+FFFF, in UTF-16 a surrogate
 * of U+D800 to U+DFFF, and the other one from U+E000 to U+FFFF.
 */
function compareKeys(wire: Uint8Array, startA: number, endA: number, startB: number, endB: number): number {
  const length = Math.min(endA - startA, endB - startB);
  for (let i = 0; i < length; i += 1) {
    const a = wire[startA + i]!;
    const b = wire[startB + i]!;
    if (a === b) continue;
    if (a >= 0xee && b >= 0xee && a >= 0xf0 !== b >= 0xf0) return b - a;
    return a - b;
  }
  return endA - startA - (endB - startB);
}

function doubled(numbers: Int32Array): Int32Array {
  const twice = new Int32Array(2 * numbers.length);
  twice.set(numbers);
  return twice;
}
