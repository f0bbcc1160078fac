/** Numbers in RFC 8785 text. */
import { writeDecimal, writeDigits } from "../encoding/digits.ts";
import { type Json, putAscii, putByte } from "./jcs.ts";

const minus = 0x2d;
const billion = 1_000_000_000;
/** 2^32 is 4 billion and this. */
const beyond4Billion = 294_967_296;

/**
 * A double: ECMAScript's shortest form is RFC 8785's, which writes -0 as 0. What JSON has no number for is a string, as in protobuf's
 * JSON mapping.
 */
export function putDouble(json: Json, value: number): void {
  putAscii(json, Number.isFinite(value) ? String(value) : `"${value}"`);
}

export function putUint32(json: Json, value: number): void {
  json.at = writeDecimal(json.view, json.at, value);
}

/**
 * An integer of 64 bits without sign, in halves of 32, which may have one: in base 10^9, on numbers that a double holds exactly. A BigInt
 * would cost several times as much.
 */
export function putUint64(json: Json, high: number, low: number): void {
  const upper = (high >>> 16) * beyond4Billion;
  const upperBillions = Math.floor(upper / billion);
  const sum = (upper - upperBillions * billion) * 0x10000 + (high & 0xffff) * beyond4Billion + (low >>> 0);
  const sumBillions = Math.floor(sum / billion);
  const billions = 4 * (high >>> 0) + upperBillions * 0x10000 + sumBillions;
  const rest = (sum - sumBillions * billion) | 0;
  if (billions === 0) putUint32(json, rest);
  else json.at = writeDigits(json.view, writeDecimal(json.view, json.at, billions), rest, 9);
}

/** In two's complement. */
export function putInt64(json: Json, high: number, low: number): void {
  if (high >= 0) putUint64(json, high, low);
  else {
    putByte(json, minus);
    putUint64(json, ~high + (low === 0 ? 1 : 0), -low);
  }
}
