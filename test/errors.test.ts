import { describe, expect, it } from "vitest";
import { ciphertextRejected, hasCode, KmsError } from "../src/errors.ts";
import { toConnectError, toGrpcStatus } from "../src/transport/error-status.ts";
import { RetryInfoSchema } from "../gen/ts/google/rpc/error_details_pb.ts";

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

describe("the time after which to try again", () => {
  it("is told in whole milliseconds, whatever the clock that it comes from", () => {
    const error = new KmsError("ISSUER_UNAVAILABLE", "the issuer's keys cannot be had now", { retryAfterMs: 29_446.1 });
    expect(() => toGrpcStatus(error)).not.toThrow();
    expect(toConnectError(error).findDetails(RetryInfoSchema)).toMatchObject([
      { retryDelay: { seconds: 29n, nanos: 447_000_000 } },
    ]);
  });

  it("is the code's own where it has one and none is given, and else none", () => {
    const delays = (error: KmsError) =>
      toConnectError(error)
        .findDetails(RetryInfoSchema)
        .map(({ retryDelay }) => retryDelay?.seconds);
    expect(delays(new KmsError("ISSUER_UNAVAILABLE", "the issuer's keys cannot be had now"))).toEqual([5n]);
    expect(delays(new KmsError("UNAUTHENTICATED", "no credential"))).toEqual([]);
  });
});
