/** The texts of test/vectors/span: made in Python by make_json.py, from nothing of this project, each with what every reader says of it. */
import { toBinary } from "@bufbuild/protobuf";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { VerifySpanRequestSchema } from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Verdict } from "../../../src/attestation/verdict.ts";
import { claimOf, isClaim, verdict } from "../../../src/attestation/verify-span.ts";
import { Failure } from "../../../src/cli/command.ts";
import { judgeSpans } from "../../../src/cli/verify/judged-spans.ts";
import { type KeySet, readKeySet } from "../../../src/cli/verify/key-set.ts";
import { KmsError } from "../../../src/errors.ts";
import { readVerifySpanRequest } from "../../../src/service/codec/sign-span.ts";
import { checkedJson } from "../../../src/transport/strict-json.ts";

interface TextCase {
  name: string;
  text: string;
  reasons: string[] | "unreadable";
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../vectors/span/${name}`, import.meta.url), "utf8"));
const { jwks, cases } = read("json.json") as { jwks: string; cases: TextCase[] };
const keySets = read("key-sets.json") as { name: string; text: string; keyIds: string[] | null }[];
const keys = readKeySet(Buffer.from(jwks));

function reasonsOf(text: string): TextCase["reasons"] {
  try {
    return judgeSpans(Buffer.from(text), keys, "acme").map(({ reason }) => reason);
  } catch (error) {
    if (error instanceof Failure) return "unreadable";
    throw error;
  }
}

describe("an export", () => {
  it.each(cases)("of $name", ({ text, reasons }) => {
    expect(reasonsOf(text)).toEqual(reasons);
  });
});

/** The body of a VerifySpan call about the one span of an export, ids in base64 as protobuf's JSON has them; undefined for other exports. */
function verifySpanBody(text: string): string | undefined {
  const [, span] = /^\{"resourceSpans":\[\{"scopeSpans":\[\{"spans":\[(.*)\]\}\]\}\]\}$/.exec(text) ?? [];
  const inBase64 = span?.replace(/"(traceId|spanId)":"([0-9a-f]+)"/g, (_, name: string, hex: string) => {
    return `"${name}":"${Buffer.from(hex, "hex").toString("base64")}"`;
  });
  return inBase64 && `{"tenantId":"acme","span":${inBase64}}`;
}

function reasonOfBody(body: string): string {
  try {
    const message = checkedJson(VerifySpanRequestSchema, Buffer.from(body));
    const claim = claimOf(readVerifySpanRequest(toBinary(VerifySpanRequestSchema, message)));
    return isClaim(claim) ? verdict(claim, keys.byId.get(claim.keyId)).reason : (claim as Verdict).reason;
  } catch (error) {
    if (error instanceof KmsError && error.code === "INVALID_ARGUMENT") return "MALFORMED";
    throw error;
  }
}

/** The service takes ids and bytes as protobuf's JSON takes them. */
const numbers = cases.flatMap(({ name, text, reasons }) => {
  const body = /^(?:\w*(?:Value|Nano|Count)|flags|kind|code) /.test(name) ? verifySpanBody(text) : undefined;
  return body === undefined ? [] : [{ name, body, reason: reasons[0] }];
});

describe("VerifySpan in JSON", () => {
  it("is asked about hundreds of numbers", () => expect(numbers.length).toBeGreaterThan(250));

  it.each(numbers)("of $name", ({ body, reason }) => {
    expect(reasonOfBody(body)).toBe(reason);
  });
});

function keyIdsOf(text: string): string[] | null {
  let set: KeySet;
  try {
    set = readKeySet(Buffer.from(text));
  } catch (error) {
    if (error instanceof Failure) return null;
    throw error;
  }
  return [...set.byId.keys()];
}

describe("a key set", () => {
  it.each(keySets)("with $name", ({ text, keyIds }) => {
    expect(keyIdsOf(text)).toEqual(keyIds);
  });
});
