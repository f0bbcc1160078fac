import { describe, expect, it } from "vitest";
import { ciphertextRejected, hasCode, KmsError } from "../src/errors.ts";

describe("the code of an error", () => {
  it("is found among several", () => {
    expect(hasCode(ciphertextRejected(), "CIPHERTEXT_REJECTED")).toBe(true);
    expect(hasCode(ciphertextRejected(), "DATA_LOSS", "CIPHERTEXT_REJECTED")).toBe(true);
  });

  it("is not another's, nor that of an error which is not ours", () => {
    expect(hasCode(new KmsError("CONFLICT", "lost"), "DATA_LOSS", "NOT_FOUND")).toBe(false);
    expect(hasCode(new KmsError("CONFLICT", "lost"))).toBe(false);
    expect(hasCode(Object.assign(new Error("lost"), { code: "CONFLICT" }), "CONFLICT")).toBe(false);
    expect(hasCode(undefined, "CONFLICT")).toBe(false);
  });
});
