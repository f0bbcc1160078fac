/** Errors as gRPC and Connect write them. */
import { createRegistry, fromBinary } from "@bufbuild/protobuf";
import { anyUnpack, DurationSchema } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";
import { KmsError } from "../../src/errors.ts";
import { pushbackOf, toConnectError, toGrpcStatus } from "../../src/transport/error-status.ts";

it.each([
  [1, 0n, 1_000_000],
  [0.4, 0n, 1_000_000],
  [29_595.155176, 29n, 596_000_000],
  [999.5, 1n, 0],
  [5_000, 5n, 0],
])("a wait of %d ms, however it was counted, is told in whole milliseconds", (retryAfterMs, seconds, nanos) => {
  const error = new KmsError("ISSUER_UNAVAILABLE", "later", { retryAfterMs });
  const [encoded] = toGrpcStatus(error).metadata!.get("grpc-status-details-bin");
  const registry = createRegistry(ErrorInfoSchema, RetryInfoSchema, DurationSchema);
  const retry = fromBinary(StatusSchema, encoded as Buffer)
    .details.map((detail) => anyUnpack(detail, registry))
    .find((detail) => detail?.$typeName === "google.rpc.RetryInfo");
  expect(retry).toMatchObject({ retryDelay: { seconds, nanos } });
  expect(toConnectError(error).findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds, nanos } }]);
});

it.each([
  ["RATE_LIMITED", 1_499.2, "1500"],
  ["OVERLOADED", undefined, "500"],
  ["MESSAGE_TOO_LARGE", undefined, "-1"],
] as const)("%s says to gRPC clients when to try again, as RetryInfo does, or that it is no use", (code, ms, said) => {
  const error = new KmsError(code, "no", ms === undefined ? {} : { retryAfterMs: ms });
  expect(toGrpcStatus(error).metadata!.get("grpc-retry-pushback-ms")).toEqual([said]);
});

it.each(["ISSUER_UNAVAILABLE", "INVALID_ARGUMENT", "DRAINING"] as const)("%s says nothing of that", (code) => {
  expect(pushbackOf(new KmsError(code, "no"))).toEqual({});
});
