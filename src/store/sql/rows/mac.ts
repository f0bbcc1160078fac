/**
 * The authentication of a row in a database: HMAC-SHA-256 under the store key over table, the row's form and all values, each with its
 * type and length, so that no two rows share an encoding. A row that was edited, or put in another's place, fails.
 */
import { createHmac, type KeyObject, timingSafeEqual } from "node:crypto";
import { KmsError } from "../../../errors.ts";
import { formsOf, type RowForms } from "./forms.ts";

export type RowValue = string | number | Uint8Array | null;

export interface RowMac {
  /** 32 bytes, of the form in which rows of the table are written. */
  of(table: string, values: readonly RowValue[]): Uint8Array;
  /** Whether it is the HMAC of any form that is read. */
  matches(mac: RowValue | undefined, table: string, values: readonly RowValue[]): boolean;
  /** Number of its form; undefined for a row that is not as it was written. */
  formOf(mac: RowValue | undefined, table: string, values: readonly RowValue[]): number | undefined;
}

const label = "fluo-kms/v1/row";
const typeTag = { null: 0, integer: 1, text: 2, bytes: 3 } as const;

export function rowMac(key: KeyObject, forms: (table: string) => RowForms = formsOf): RowMac {
  const computed = (table: string, form: number, values: readonly RowValue[]) => {
    const parts = [label, table, form, ...values].flatMap(encode);
    return new Uint8Array(createHmac("sha256", key).update(Buffer.concat(parts)).digest());
  };
  const formOf: RowMac["formOf"] = (mac, table, values) => {
    if (!(mac instanceof Uint8Array) || mac.length !== 32) return undefined;
    return forms(table).read.find((form) => timingSafeEqual(mac, computed(table, form, values)));
  };
  return {
    of: (table, values) => computed(table, forms(table).written, values),
    matches: (...row) => formOf(...row) !== undefined,
    formOf,
  };
}

function encode(value: RowValue): Uint8Array[] {
  const head = Buffer.alloc(9);
  if (value === null) return [head.subarray(0, 1)];
  if (typeof value === "number") {
    head.writeUInt8(typeTag.integer);
    // What is no whole number was not written by us: it gets an encoding that fails.
    head.writeDoubleBE(value, 1);
    return [head];
  }
  const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value;
  head.writeUInt8(typeof value === "string" ? typeTag.text : typeTag.bytes);
  head.writeUInt32BE(bytes.length, 1);
  return [head.subarray(0, 5), bytes];
}

/** Takes every row for authentic: for whoever reads a store without its key. */
export const unverified: RowMac = {
  of() {
    throw new KmsError("INTERNAL", "no row can be written without the store key");
  },
  matches: () => true,
  formOf: () => 1,
};
