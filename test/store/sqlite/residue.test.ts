import { randomBytes } from "node:crypto";
import { closeSync, mkdtempSync, openSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { holdsAny } from "../../../src/store/sqlite/residue.ts";

const mebibyte = 1024 * 1024;

function fileOf(bytes: Uint8Array): number {
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-residue-")), "kms.db");
  writeFileSync(file, bytes);
  const descriptor = openSync(file, "r");
  onTestFinished(() => closeSync(descriptor));
  return descriptor;
}

function holding(bytes: Uint8Array, at: number): number {
  const content = randomBytes(2 * mebibyte + 100);
  content.set(bytes, at);
  return fileOf(content);
}

describe("bytes that were erased", () => {
  const wrapped = randomBytes(60);

  it.each([0, 5, mebibyte - 60, mebibyte - 48, mebibyte - 20, mebibyte - 8, mebibyte, 2 * mebibyte + 40])(
    "are found at %d, wherever the file is cut for reading",
    (at) => {
      expect(holdsAny(holding(wrapped, at), [randomBytes(60), wrapped])).toBe(true);
    },
  );

  it.each([12, 28, 44])("are found by what is left of them from byte %d on", (from) => {
    expect(holdsAny(holding(wrapped.subarray(from, from + 16), 12_345), [wrapped])).toBe(true);
  });

  it("are not found where they are not", () => {
    const file = fileOf(randomBytes(2 * mebibyte));
    expect(holdsAny(file, [wrapped, randomBytes(500)])).toBe(false);
    expect(holdsAny(holding(wrapped.subarray(0, 12), 99), [wrapped])).toBe(false);
    expect(holdsAny(file, [])).toBe(false);
    expect(holdsAny(fileOf(new Uint8Array()), [wrapped])).toBe(false);
    expect(holdsAny(file, [new Uint8Array(), randomBytes(15)])).toBe(false);
  });
});
