import { describe, expect, it } from "vitest";
import { prefersHtml } from "../../../../src/transport/http/front-page/prefers-html.ts";

describe("HTML is preferred by", () => {
  it.each([
    ["a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
    ["its name alone", "text/html"],
    ["its name in capitals, with a parameter and spaces", " Text/HTML ; charset=utf-8 ; q=0.9 , text/plain; q=0.8"],
    ["a quality above that of text", "text/plain;q=0.5, text/html;q=0.501"],
    ["what takes anything but text", "text/plain;q=0, */*"],
    ["a range below it, as the more specific one holds", "text/*;q=0.3, text/html, */*;q=0.9"],
  ])("%s", (_who, accept) => {
    expect(prefersHtml(accept)).toBe(true);
  });
});

describe("HTML is not preferred by", () => {
  it.each([
    ["no header", undefined],
    ["an empty one", ""],
    ["curl", "*/*"],
    ["any text", "text/*"],
    ["a tie", "text/html, text/plain"],
    ["a quality below that of text", "text/html;q=0.8, text/plain;q=0.9"],
    ["a quality of anything above its own", "text/html;q=0.5, */*;q=0.6"],
    ["a refusal of it", "text/html;q=0, */*;q=0"],
    ["a client of JSON", "application/json"],
    ["a quality that is none", "text/html;q=2, text/html;q=x"],
    ["a quality of four digits", "text/html;q=0.1234"],
    ["what is no media range", "html, ;q=1, ,,;"],
  ])("%s", (_who, accept) => {
    expect(prefersHtml(accept)).toBe(false);
  });
});
