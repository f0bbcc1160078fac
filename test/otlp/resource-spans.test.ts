import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import type { ReadSpan } from "../../src/otlp/canonical.ts";
import { readSignSpanRequest } from "../../src/service/codec/sign-span.ts";
import { readResourceSpans } from "../../src/otlp/resource-spans.ts";
import { thrownBy } from "../support/matchers.ts";
import { type Bytes, hex, intValue, keyValue, len, message, signRequest, span, varint } from "../support/otlp-wire.ts";

const named = (name: string) => span(len(5, name));
const resource = len(1, keyValue("service.name", intValue(1)));
const scope = message(len(1, "lib"), len(3, keyValue("a", intValue(2))));
const badSpan = span(len(17, ""));

/** The canonical forms, and the fields of the errors, in order. */
function outcomes(bytes: Bytes): string[] {
  return [...readResourceSpans(bytes)].map((read) =>
    read instanceof KmsError ? `refused: ${read.violations[0]!.field}` : read.canonical,
  );
}

describe("ResourceSpans", () => {
  it("gives each span in order, as SignSpan reads it with its resource and scope", () => {
    const bytes = message(
      len(1, resource),
      len(2, message(len(1, scope), len(2, named("a")), len(2, named("b")), len(3, "url"))),
      len(2, len(2, named("c"))),
      len(3, "url"),
    );
    const alone = (name: string, ...parts: Bytes[]) =>
      readSignSpanRequest(signRequest(named(name), len(3, resource), ...parts)).span;
    expect([...readResourceSpans(bytes)]).toEqual([alone("a", len(4, scope)), alone("b", len(4, scope)), alone("c")]);
  });

  it("reads a resource and a scope that come after their spans", () => {
    const ordered = message(len(1, resource), len(2, message(len(1, scope), len(2, named("a")))));
    const reversed = message(len(2, message(len(2, named("a")), len(1, scope))), len(1, resource));
    expect(outcomes(reversed)).toEqual(outcomes(ordered));
  });

  it("gives nothing for no spans, whatever the resource", () => {
    expect(outcomes(hex(""))).toEqual([]);
    expect(outcomes(message(len(1, len(9, "")), len(2, len(1, len(9, "")))))).toEqual([]);
  });

  it("puts an error in the place of a bad span and goes on", () => {
    const bytes = len(2, message(len(2, named("a")), len(2, badSpan), len(2, hex("0a 7f")), len(2, named("b"))));
    const read = outcomes(bytes);
    expect([read[1], read[2]]).toEqual(["refused: span", "refused: span.trace_id"]);
    expect([read[0], read[3]]).toEqual([expect.stringContaining('"a"'), expect.stringContaining('"b"')]);
    expect([...readResourceSpans(bytes)][1]).toBeKmsError("INVALID_ARGUMENT", "unknown");
  });

  it("makes a bad resource an error of every span", () => {
    const spans = len(2, message(len(2, named("a")), len(2, named("b"))));
    expect(outcomes(message(spans, spans, len(1, len(9, ""))))).toEqual(Array(4).fill("refused: resource"));
  });

  it("makes a bad scope an error of its spans alone", () => {
    const bad = message(len(1, message(len(1, ""), len(1, ""))), len(2, named("a")), len(2, named("b")));
    const [a, b, c] = outcomes(message(len(2, bad), len(2, len(2, named("c")))));
    expect([a, b]).toEqual(["refused: scope.name", "refused: scope.name"]);
    expect(c).toContain('"c"');
  });

  it.each<[string, Bytes, string]>([
    ["a second resource", message(len(1, ""), len(1, "")), "resource"],
    ["a second schema_url", message(len(3, "u"), len(3, "u")), "schema_url"],
    ["a schema_url that is not UTF-8", len(3, hex("ff")), "schema_url"],
    ["an unknown field", len(4, ""), "resource_spans"],
    ["the deprecated instrumentation_library_spans", len(1000, ""), "resource_spans"],
    ["a wrong wire type", varint(2, 1), "scope_spans"],
    ["a second scope", message(len(2, ""), len(2, message(len(1, ""), len(1, "")))), "scope_spans[1].scope"],
    ["a second schema_url of scope spans", len(2, message(len(3, ""), len(3, ""))), "scope_spans[0].schema_url"],
    ["an unknown field of scope spans", len(2, len(9, "")), "scope_spans[0]"],
    ["a cut span", len(2, hex("12 05 00")), "scope_spans[0].spans[0]"],
  ])("is refused as a whole, before any span, for %s", async (_, frame, field) => {
    const seen: (ReadSpan | KmsError)[] = [];
    const error = await thrownBy(() => {
      for (const read of readResourceSpans(message(len(2, len(2, named("a"))), frame))) seen.push(read);
    });
    const shifted = field.replace(/^scope_spans\[(\d)\]/, (_all, n) => `scope_spans[${Number(n) + 1}]`);
    expect(error).toBeKmsError("INVALID_ARGUMENT", shifted);
    expect((error as KmsError).violations[0]!.field).toBe(shifted);
    expect(seen).toEqual([]);
  });
});
