import { describe, expect, it } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { checkNames, checkValues } from "../../../src/service/kms/pii-limits.ts";
import { thrownBy } from "../../support/matchers.ts";

const names = (count: number, name = "n") => Array.from({ length: count }, () => ({ name }));
const values = (count: number, bytes: number) => Array.from({ length: count }, () => ({ value: Buffer.alloc(bytes) }));

describe("a PII request", () => {
  it.each<[string, () => void]>([
    ["1,000 fields, with names of 256 bytes", () => checkNames(names(1000, "n".repeat(256)))],
    ["values of nothing", () => checkValues(values(1000, 0))],
    ["64 KiB a value, and 2 MiB in all", () => checkValues(values(32, 65_536))],
  ])("may have %s", (_, check) => expect(check).not.toThrow());

  it.each<[string, () => void, string[]]>([
    ["no field", () => checkNames([]), ["fields"]],
    ["1,001 fields", () => checkNames(names(1001)), ["fields"]],
    ["an empty name", () => checkNames([...names(1), { name: "" }]), ["fields[1].name"]],
    ["a name of 257 bytes", () => checkNames(names(1, "n".repeat(257))), ["fields[0].name"]],
    ["a name of 257 bytes in fewer characters", () => checkNames(names(1, `${"é".repeat(128)}n`)), ["fields[0].name"]],
    ["a name with a lone surrogate", () => checkNames(names(1, "\ud800")), ["fields[0].name"]],
    [
      "100 empty names, of which 16 are told",
      () => checkNames(names(100, "")),
      names(16).map((_, n) => `fields[${n}].name`),
    ],
    ["a value of 65,537 bytes", () => checkValues([...values(2, 1), ...values(1, 65_537)]), ["fields[2].value"]],
    ["2 MiB and a byte of values", () => checkValues([...values(32, 65_536), ...values(1, 1)]), ["fields"]],
  ])("is refused with %s", async (_, check, fields) => {
    const error = (await thrownBy(check)) as KmsError;
    expect(error).toBeKmsError("INVALID_ARGUMENT");
    expect(error.violations.map(({ field }) => field)).toEqual(fields);
  });
});
