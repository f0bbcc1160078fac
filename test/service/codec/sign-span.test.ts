import { describe, expect, it } from "vitest";
import { readSignSpanRequest, readVerifySpanRequest } from "../../../src/service/codec/sign-span.ts";
import { thrownBy } from "../../support/matchers.ts";
import {
  type Bytes,
  fixed32,
  hex,
  intValue,
  keyValue,
  len,
  message,
  signRequest,
  span,
  varint,
} from "../../support/otlp-wire.ts";

const many = (number: number) => message(...Array.from({ length: 129 }, (_, i) => len(number, keyValue(`k${i}`))));
const entry = keyValue("a", intValue(1));
const twice = (field: Bytes) => message(field, field);
const ofResource = (...parts: Bytes[]) => signRequest(span(), len(3, message(...parts)));
const ofEntity = (...parts: Bytes[]) => ofResource(len(3, message(...parts)));
const ofScope = (...parts: Bytes[]) => signRequest(span(), len(4, message(...parts)));

describe("SignSpanRequest", () => {
  it("gives the tenant as it was sent, and the span", () => {
    const { tenantId, span: read } = readSignSpanRequest(signRequest(span()));
    expect(tenantId).toBe("acme");
    expect(read.canonical).toMatch(/^\{"span":/);
    expect(readSignSpanRequest(len(2, span())).tenantId).toBe("");
  });

  it("covers attributes of resource and scope, and the scope's name and version", () => {
    const scope = message(len(1, "lib"), len(2, "1.0"), len(3, entry));
    const { span: read } = readSignSpanRequest(signRequest(span(), len(3, len(1, entry)), len(4, scope)));
    expect(read.canonical).toMatch(
      /^\{"resource":\{"attributes":\{"a":\{"intValue":"1"\}\}\},"scope":\{"attributes":\{"a":\{"intValue":"1"\}\},"name":"lib","version":"1.0"\},"span":\{/,
    );
  });

  it("takes any order of their fields, and of its own", () => {
    const resource = [len(1, entry), len(1, keyValue("b"))];
    const scope = [len(1, "lib"), len(2, "1.0"), len(3, entry), len(3, keyValue("b"))];
    const parts = [len(1, "acme"), len(2, span()), len(3, message(...resource)), len(4, message(...scope))];
    const turned = [len(4, message(...scope.toReversed())), len(3, message(...resource.toReversed()))];
    expect(readSignSpanRequest(message(...turned, len(2, span()), len(1, "acme")))).toEqual(
      readSignSpanRequest(message(...parts)),
    );
  });

  it("does not cover their dropped counts and the entity refs", () => {
    const entityRef = message(len(1, "u"), len(2, "t"), len(3, "i"), len(3, "j"), len(4, "d"), len(4, "e"));
    const resource = message(varint(2, 5), len(3, entityRef), len(3, ""));
    const { span: read } = readSignSpanRequest(signRequest(span(), len(3, resource), len(4, varint(4, 6))));
    expect(read.canonical).toBe(readSignSpanRequest(signRequest(span())).span.canonical);
  });

  it.each<[string, Bytes, string]>([
    ["no span", len(1, "acme"), "span"],
    ["nothing at all", hex(""), "span"],
    ["a second tenant_id", signRequest(span(), len(1, "acme")), "tenant_id"],
    ["a second span", signRequest(span(), len(2, span())), "span"],
    ["a second resource", signRequest(span(), len(3, ""), len(3, "")), "resource"],
    ["a second scope", signRequest(span(), len(4, ""), len(4, "")), "scope"],
    ["an unknown field", signRequest(span(), len(9, "")), "request"],
    ["evidence, which is VerifySpan's", signRequest(span(), len(5, "")), "request"],
    ["a field 0", signRequest(span(), hex("00")), "request"],
    ["a cut tag", signRequest(span(), hex("80")), "request"],
    ["a wrong wire type", message(len(1, "a"), varint(2, 1)), "span"],
    ["a tenant_id that is not UTF-8", message(len(1, hex("ff")), len(2, span())), "tenant_id"],
    ["an unknown field of the resource", ofResource(len(4, "")), "resource"],
    ["a second dropped count of the resource", ofResource(twice(varint(2, 1))), "resource.dropped_attributes_count"],
    ["a duplicate key of the resource", ofResource(twice(len(1, entry))), "resource.attributes[1].key"],
    [
      "a bad value of the resource",
      ofResource(len(1, len(2, varint(2, 2)))),
      "resource.attributes[0].value.bool_value",
    ],
    ["129 attributes of the resource", ofResource(many(1)), "resource.attributes[128]"],
    ["an unknown field of an entity ref", ofResource(len(3, ""), len(3, len(5, ""))), "resource.entity_refs[1]"],
    ["a second type of an entity ref", ofEntity(twice(len(2, ""))), "resource.entity_refs[0].type"],
    ["a second schema_url of an entity ref", ofEntity(twice(len(1, ""))), "resource.entity_refs[0].schema_url"],
    ["an entity ref that is not UTF-8", ofEntity(len(3, hex("ff"))), "resource.entity_refs[0].id_keys"],
    ["an unknown field of the scope", ofScope(fixed32(33, 1)), "scope"],
    ["a second name of the scope", ofScope(twice(len(1, ""))), "scope.name"],
    ["a second version of the scope", ofScope(twice(len(2, ""))), "scope.version"],
    ["a second dropped count of the scope", ofScope(twice(varint(4, 0))), "scope.dropped_attributes_count"],
    ["a duplicate key of the scope", ofScope(twice(len(3, entry))), "scope.attributes[1].key"],
    ["129 attributes of the scope", ofScope(many(3)), "scope.attributes[128]"],
    ["a scope name that is not UTF-8", ofScope(len(1, hex("ff"))), "scope.name"],
  ])("is refused with %s", async (_, bytes, field) => {
    const error = await thrownBy(() => readSignSpanRequest(bytes));
    expect(error).toBeKmsError("INVALID_ARGUMENT", field);
    expect((error as { violations: { field: string }[] }).violations[0]!.field).toBe(field);
  });

  it("is read from bytes in the middle of a buffer", () => {
    const request = signRequest(span(len(5, "n")));
    const padded = message(hex("ffff"), request, hex("ffff"));
    expect(readSignSpanRequest(padded.subarray(2, 2 + request.length))).toEqual(readSignSpanRequest(request));
  });
});

describe("VerifySpanRequest", () => {
  it("gives a signed statement, as bytes of its own", () => {
    const request = signRequest(span(), len(5, message(len(1, "statement"), len(2, hex("0102")))));
    const { signed, logProof } = readVerifySpanRequest(request);
    request.fill(0);
    expect(signed).toEqual({ statement: new TextEncoder().encode("statement"), signature: hex("0102") });
    expect(logProof).toBeUndefined();
  });

  it("gives a log proof", () => {
    const { signed, logProof } = readVerifySpanRequest(
      signRequest(span(), len(6, message(len(1, "s"), len(2, "proof")))),
    );
    expect(logProof).toEqual({ statement: new TextEncoder().encode("s"), proof: "proof" });
    expect(signed).toBeUndefined();
  });

  it("has neither where only attributes are given", () => {
    expect(readVerifySpanRequest(signRequest(span()))).toMatchObject({ signed: undefined, logProof: undefined });
  });

  it.each<[string, Bytes, string]>([
    ["both kinds of evidence", message(len(5, ""), len(6, "")), "log_proof"],
    ["a second signed statement", message(len(5, ""), len(5, "")), "signed_statement"],
    ["a second log proof", message(len(6, ""), len(6, "")), "log_proof"],
    ["a second statement", len(5, message(len(1, ""), len(1, ""))), "signed_statement.statement"],
    ["a second signature", len(5, message(len(2, ""), len(2, ""))), "signed_statement.signature"],
    ["an unknown field of the signed statement", len(5, len(3, "")), "signed_statement"],
    ["a second logged statement", len(6, message(len(1, ""), len(1, ""))), "log_proof.statement"],
    ["a second proof", len(6, message(len(2, ""), len(2, ""))), "log_proof.proof"],
    ["an unknown field of the log proof", len(6, len(3, "")), "log_proof"],
    ["a proof that is not UTF-8", len(6, len(2, hex("ff"))), "log_proof.proof"],
    ["an unknown field", len(7, ""), "request"],
  ])("is refused with %s", async (_, evidence, field) => {
    const error = await thrownBy(() => readVerifySpanRequest(signRequest(span(), evidence)));
    expect(error).toBeKmsError("INVALID_ARGUMENT", field);
  });

  it("is refused without a span", async () => {
    expect(await thrownBy(() => readVerifySpanRequest(len(1, "acme")))).toBeKmsError("INVALID_ARGUMENT", "span");
  });
});
