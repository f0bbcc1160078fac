/** Keys that are in the bytes of a map twice. */
import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { GenerateDataKeyRequestSchema } from "../../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { KeyAdminService } from "../../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { GetPublicKeysRequestSchema } from "../../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import { EncryptPiiRequestSchema } from "../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { decodeEncryptPiiRequest } from "../../../src/service/codec/data-plane.ts";
import { keyCheck } from "../../../src/service/codec/map-keys.ts";
import { len, message } from "../../support/otlp-wire.ts";

const pair = (key: string, value: string) => len(3, message(len(1, key), len(2, value)));
const refusal = expect.objectContaining({
  code: "INVALID_ARGUMENT",
  violations: [{ field: "encryption_context", description: "has a key twice" }],
});

const readers: [string, (bytes: Uint8Array) => void][] = [
  [
    "the generic codec",
    (bytes) => keyCheck(GenerateDataKeyRequestSchema)!(bytes, fromBinary(GenerateDataKeyRequestSchema, bytes)),
  ],
  ["the codec of EncryptPii", (bytes) => void decodeEncryptPiiRequest(bytes)],
];

describe.each(readers)("%s", (_name, read) => {
  it.each<[string, Uint8Array[]]>([
    ["the same value", [pair("a", "1"), pair("a", "1")]],
    ["another value", [pair("a", "1"), pair("b", "2"), pair("a", "3")]],
    ["the value first", [pair("a", "1"), len(3, message(len(2, "2"), len(1, "a")))]],
    ["no key", [len(3, ""), len(3, message(len(2, "x")))]],
    ["the key __proto__", [pair("__proto__", "1"), pair("__proto__", "2")]],
    ["the key constructor", [pair("constructor", "1"), pair("constructor", "2")]],
  ])("refuses a key that is there twice, with %s", (_what, pairs) => {
    expect(() => read(message(len(1, "acme"), ...pairs))).toThrow(refusal);
  });

  it("refuses a pair that is longer than its length says, in which another may hide", () => {
    const hidden = message(len(1, "a"), len(2, "1"), pair("a", "2"));
    const short = message(len(1, "a"), len(2, "1")).length - 1;
    for (const said of [short, short - 1, 1]) {
      expect(() => read(message(Buffer.of(0x1a, said), hidden))).toThrow();
    }
    expect(() => read(message(Buffer.of(0x1a, 2), len(1, "a"), pair("a", "2")))).toThrow();
  });

  it("takes keys that differ, or that objects have by themselves, once", () => {
    read(message(len(1, "acme"), pair("a", "1"), pair("A", "1"), pair("constructor", "2"), pair("__proto__", "3")));
    read(message(pair("", ""), pair("toString", "")));
    read(message());
  });
});

it("asks nothing of a message without maps", () => {
  expect(keyCheck(GetPublicKeysRequestSchema)).toBeUndefined();
});

it("looks at every map of a request: none is in a message within it", () => {
  const inner = ({ fields }: DescMessage, seen: Set<DescMessage>): DescMessage[] =>
    fields.flatMap(({ message: next }) => (next && !seen.has(next) ? [next, ...inner(next, seen.add(next))] : []));
  const services = [KmsService, KeyAdminService, LogService];
  const requests = services.flatMap(({ methods }) => methods.map(({ input }) => input));
  expect(requests).toContain(EncryptPiiRequestSchema);
  const within = requests.flatMap((request) => inner(request, new Set()));
  expect(within.length).toBeGreaterThan(0);
  expect(within.filter((message) => keyCheck(message) !== undefined)).toEqual([]);
});
