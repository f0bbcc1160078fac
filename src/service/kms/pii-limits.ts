/** Limits of PII requests, checked before any work is spent on them. All that is wrong is reported together. */
import { type FieldViolation, KmsError, maxViolations } from "../../errors.ts";
import { maxValueBytes } from "../../envelope/envelope.ts";

export const maxFields = 1000;
export const maxNameBytes = 256;
export const maxTotalBytes = 2 * 1024 * 1024;

export function checkNames(fields: readonly { name: string }[]): void {
  if (fields.length === 0) refuse([{ field: "fields", description: "at least one field is required" }]);
  if (fields.length > maxFields) {
    refuse([
      { field: "fields", description: `at most ${maxFields} fields a call, not ${fields.length}: split the call` },
    ]);
  }
  const violations: FieldViolation[] = [];
  fields.forEach(({ name }, index) => {
    const wrong = nameProblem(name);
    if (wrong && violations.length < maxViolations)
      violations.push({ field: `fields[${index}].name`, description: wrong });
  });
  refuse(violations);
}

function nameProblem(name: string): string | undefined {
  if (name === "") return "is required: the token opens only under the same name";
  if (!name.isWellFormed()) return "must be valid UTF-8";
  if (name.length > maxNameBytes || Buffer.byteLength(name) > maxNameBytes) return `at most ${maxNameBytes} bytes`;
  return undefined;
}

export function checkValues(fields: readonly { value: Uint8Array }[]): void {
  const violations: FieldViolation[] = [];
  let total = 0;
  fields.forEach(({ value }, index) => {
    total += value.length;
    if (value.length > maxValueBytes && violations.length < maxViolations) {
      violations.push({ field: `fields[${index}].value`, description: `at most ${maxValueBytes} bytes` });
    }
  });
  if (violations.length === 0 && total > maxTotalBytes) {
    violations.push({
      field: "fields",
      description: `values are at most ${maxTotalBytes} bytes together: split the call`,
    });
  }
  refuse(violations);
}

function refuse(violations: readonly FieldViolation[]): void {
  const [first] = violations;
  if (!first) return;
  throw new KmsError("INVALID_ARGUMENT", `${first.field}: ${first.description}`, { violations });
}
