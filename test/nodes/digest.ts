/** The digest of a value of JSON, as test/nodes/read_json.py makes it too. */
import { hash } from "node:crypto";

export function digestOf(value: unknown): string {
  return hash("sha256", written(value)).slice(0, 16);
}

function written(value: unknown): string {
  if (value === null) return "n";
  if (typeof value === "boolean") return value ? "t" : "f";
  if (typeof value === "number") return `d${hexOf(value)}`;
  if (typeof value === "string") return textOf(value);
  if (Array.isArray(value)) return `[${value.map(written).join("")}]`;
  const members = Object.entries(value as object).map(([name, inner]) => `${textOf(name)}${written(inner)}`);
  return `{${members.sort().join("")}}`;
}

function hexOf(number: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(number);
  return bytes.toString("hex");
}

/** In UTF-16, since JSON may spell half of a character. */
function textOf(text: string): string {
  return `s${Buffer.from(text, "utf16le").swap16().toString("hex")};`;
}
