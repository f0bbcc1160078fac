/** Members of a JSON file in their types. Each throws a Failure that names the member where it is something else. */
import { canonicalBase64 } from "../encoding/base64.ts";
import { Failure } from "./command.ts";

export function membersAt(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Failure(`${at} must be an object`);
  return value as Record<string, unknown>;
}

/** Empty where it is missing. */
export function listAt(value: unknown, at: string): readonly unknown[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new Failure(`${at} must be a list`);
  return value;
}

export function textAt(value: unknown, at: string): string {
  if (typeof value !== "string") throw new Failure(`${at} must be text`);
  return value;
}

export function base64At(value: unknown, at: string): Uint8Array {
  const bytes = canonicalBase64(textAt(value, at));
  if (bytes === undefined) throw new Failure(`${at} must be base64`);
  return bytes;
}

export function indexAt(value: unknown, at: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new Failure(`${at} must be a whole number, not below 0`);
  return value;
}
