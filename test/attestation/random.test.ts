/**
 * Random spans, read; against the canonical form that a slow and plain writer makes of the same model. And damaged spans, which must be
 * refused or read, nothing else.
 */
import { expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { readSignSpanRequest } from "../../src/service/codec/sign-span.ts";
import { signRequest, span } from "../support/otlp-wire.ts";
import { generator, type Json, randomSpan } from "../support/random-span.ts";

/** RFC 8785, plainly. */
function jcs(json: Json): string {
  if (Array.isArray(json)) return `[${json.map(jcs).join(",")}]`;
  if (json === null || typeof json !== "object") return JSON.stringify(json);
  const members = Object.keys(json).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${jcs(json[key]!)}`).join(",")}}`;
}

it("reads 2000 random spans as the slow writer writes them", () => {
  const r = generator(20260102);
  for (let i = 0; i < 2000; i += 1) {
    const { wire, form } = randomSpan(r);
    expect(readSignSpanRequest(signRequest(wire)).span.canonical).toBe(jcs(form));
  }
});

it("reads damaged spans or refuses them as INVALID_ARGUMENT, and fails in no other way", () => {
  const r = generator(7);
  for (let i = 0; i < 3000; i += 1) {
    const wire = new Uint8Array(randomSpan(r).wire);
    for (let n = 1 + r.below(3); n > 0; n -= 1) wire[r.below(wire.length)] = r.below(256);
    try {
      JSON.parse(readSignSpanRequest(signRequest(wire)).span.canonical);
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      expect(error).toBeKmsError("INVALID_ARGUMENT", "span");
    }
  }
});

it("refuses random bytes behind a span or reads them, and fails in no other way", () => {
  const r = generator(11);
  for (let i = 0; i < 3000; i += 1) {
    const noise = Uint8Array.from({ length: 1 + r.below(12) }, () => r.below(256));
    try {
      readSignSpanRequest(signRequest(span(noise)));
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
    }
  }
});
