import { describe, expect, it } from "vitest";
import { spiffeId } from "../../../src/auth/certificate/spiffe.ts";

describe("a SPIFFE id", () => {
  it.each([
    ["spiffe://example.org/ns/fluo/sa/ingest", "example.org"],
    ["spiffe://a/b", "a"],
    ["spiffe://a_b-c.9/A.Z_a-z/0", "a_b-c.9"],
    ["spiffe://../a", ".."],
    ["spiffe://example.org/...", "example.org"],
    ["spiffe://example.org/.a/..b/c..", "example.org"],
    [`spiffe://${"t".repeat(255)}/x`, "t".repeat(255)],
    [`spiffe://a/${"x".repeat(2048 - 11)}`, "a"],
  ])("%s is of its trust domain", (id, trustDomain) => {
    expect(spiffeId(id)).toEqual({ id, trustDomain });
  });

  it.each([
    ["a percent", "spiffe://example.org/a%2Fb"],
    ["a query", "spiffe://example.org/a?x"],
    ["a fragment", "spiffe://example.org/a#x"],
    ["an empty segment", "spiffe://example.org/a//b"],
    ["an empty first segment", "spiffe://example.org//a"],
    ["a segment ..", "spiffe://example.org/a/../b"],
    ["a segment .. at its end", "spiffe://example.org/a/.."],
    ["a segment .", "spiffe://example.org/./a"],
    ["a port", "spiffe://example.org:443/a"],
    ["a user", "spiffe://user@example.org/a"],
    ["an upper-case domain", "spiffe://Example.org/a"],
    ["an upper-case scheme", "SPIFFE://example.org/a"],
    ["no path", "spiffe://example.org"],
    ["no segment", "spiffe://example.org/"],
    ["a trailing slash", "spiffe://example.org/a/"],
    ["no trust domain", "spiffe:///a"],
    ["a longer trust domain", `spiffe://${"t".repeat(256)}/x`],
    ["2049 bytes", `spiffe://a/${"x".repeat(2048 - 10)}`],
    ["another scheme", "https://example.org/a"],
    ["one slash", "spiffe:/example.org/a"],
    ["a space", "spiffe://example.org/a b"],
    ["a line feed behind it", "spiffe://example.org/a\n"],
    ["a NUL", "spiffe://example.org/a\0"],
    ["text before it", " spiffe://example.org/a"],
    ["another URI behind it", "spiffe://example.org/a, URI:spiffe://example.org/b"],
    ["a letter beyond ASCII", "spiffe://example.org/é"],
    ["a brace", "spiffe://example.org/{tenant}"],
    ["nothing at all", ""],
  ])("attack 35: with %s is none", (_, text) => {
    expect(spiffeId(text)).toBeUndefined();
  });
});
