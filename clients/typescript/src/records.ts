/** Records of which some members are PII: tokens take the place of their values, in one call a record. */
import type { CallOptions } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import type { Kms } from "./kms.ts";

/** The members of a record that are PII, by name, with the name under which each is encrypted: a token opens only under that. */
export type PiiNames<Record extends object> = {
  readonly [Member in keyof Record]?: Record[Member] extends PiiValue ? string : never;
};

/** PiiNames with the members of `Names` alone: one that the record does not have, whose value would stay in clear, is a type error. */
type NamesOf<Record extends object, Names> = {
  readonly [Member in keyof Names]: Member extends keyof PiiNames<Record> ? PiiNames<Record>[Member] : never;
};

/** Text, bytes, or nothing. */
export type PiiValue = string | Uint8Array | null | undefined;

export interface RecordOptions extends CallOptions {
  /** Pairs that are no secret, and must be given again to decrypt. */
  context?: { readonly [name: string]: string };
}

/** A record of which some members could not be encrypted or decrypted. Nothing of it was changed. */
export class RecordError extends Error {
  override readonly name = "RecordError";
  /** Each member that failed, with the gRPC code and what is wrong. */
  readonly fields: readonly { member: string; code: Code; message: string }[];

  constructor(fields: RecordError["fields"]) {
    super(fields.map(({ member, code, message }) => `${member}: ${Code[code]}: ${message}`).join("; "));
    this.fields = fields;
  }
}

/**
 * Returns a copy of the record with a token in the place of each value that `names` has: as text for text, as its ASCII bytes for bytes.
 * Members that are null, undefined or absent stay so; empty values are encrypted; all others are left alone.
 */
export async function encryptRecord<Record extends object, Names extends object>(
  kms: Pick<Kms, "encryptPii">,
  tenantId: string,
  record: Record,
  names: NamesOf<Record, Names>,
  { context = {}, ...options }: RecordOptions = {},
): Promise<Record> {
  const marked = markedMembers(record, names);
  if (marked.length === 0) return { ...record };
  const fields = marked.map(({ member, name, value }) => ({ name, value: bytesOf(member, value) }));
  const answer = await kms.encryptPii({ tenantId, fields, encryptionContext: context }, options);
  const tokens = answer.fields.map(({ token }) => token);
  if (tokens.length !== marked.length) throw wrongNumber();
  return replaced(record, marked, (value, i) => (typeof value === "string" ? tokens[i]! : utf8.encode(tokens[i]!)));
}

/** The reverse. Throws a RecordError that names every member whose token was refused. */
export async function decryptRecord<Record extends object, Names extends object>(
  kms: Pick<Kms, "decryptPii">,
  tenantId: string,
  record: Record,
  names: NamesOf<Record, Names>,
  { context = {}, ...options }: RecordOptions = {},
): Promise<Record> {
  const marked = markedMembers(record, names);
  if (marked.length === 0) return { ...record };
  const fields = marked.map(({ name, value }) => ({
    name,
    token: typeof value === "string" ? value : String.fromCharCode(...value),
  }));
  const answer = await kms.decryptPii({ tenantId, fields, encryptionContext: context }, options);
  if (answer.fields.length !== marked.length) throw wrongNumber();
  const failed: RecordError["fields"][number][] = [];
  const values = answer.fields.map(({ result }, i) => {
    const { member, value } = marked[i]!;
    if (result.case !== "value") {
      const { code = Code.Internal, message = "the service gave no value" } = result.value ?? {};
      failed.push({ member, code, message });
      return value;
    }
    if (typeof value !== "string") return result.value;
    try {
      return strictUtf8.decode(result.value);
    } catch {
      failed.push({ member, code: Code.InvalidArgument, message: "was encrypted as bytes that are not UTF-8" });
      return value;
    }
  });
  if (failed.length > 0) throw new RecordError(failed);
  return replaced(record, marked, (_, i) => values[i]!);
}

interface Marked {
  member: string;
  name: string;
  value: string | Uint8Array;
}

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Those that are there, in the order of `names`. Throws TypeError for a mark on anything but text and bytes. */
function markedMembers(record: object, names: object): Marked[] {
  return Object.entries(names).flatMap(([member, name]: [string, unknown]) => {
    if (typeof name !== "string" || name === "") throw new TypeError(`${member}: the name of a PII field is text`);
    const value: unknown = Object.hasOwn(record, member)
      ? (record as { [member: string]: unknown })[member]
      : undefined;
    if (value === undefined || value === null) return [];
    if (typeof value !== "string" && !(value instanceof Uint8Array))
      throw new TypeError(`${member}: PII is text or bytes; nested records are encrypted by themselves`);
    return [{ member, name, value }];
  });
}

function bytesOf(member: string, value: string | Uint8Array): Uint8Array {
  if (typeof value !== "string") return value;
  if (!value.isWellFormed()) throw new TypeError(`${member}: is not well-formed text; encrypt it as bytes`);
  return utf8.encode(value);
}

function replaced<Record extends object>(
  record: Record,
  marked: readonly Marked[],
  replacement: (value: string | Uint8Array, i: number) => string | Uint8Array,
): Record {
  const copy = { ...record };
  for (const [i, { member, value }] of marked.entries())
    Object.defineProperty(copy, member, {
      value: replacement(value, i),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  return copy;
}

function wrongNumber(): Error {
  return new Error("the service answered another number of fields than it was asked for; look at its version");
}
