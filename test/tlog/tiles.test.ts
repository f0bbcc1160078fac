import { describe, expect, it } from "vitest";
import { formatTilePath, parseTilePath, tileWidth } from "../../src/tlog/tiles.ts";

describe("the path of a tile", () => {
  it.each([
    ["tile/0/000", { level: 0, tile: 0, width: 256 }],
    ["tile/0/x001/x234/067", { level: 0, tile: 1_234_067, width: 256 }],
    ["tile/1/000.p/1", { level: 1, tile: 0, width: 1 }],
    ["tile/63/x001/000.p/255", { level: 63, tile: 1000, width: 255 }],
    ["tile/entries/999", { level: "entries", tile: 999, width: 256 }],
    ["tile/entries/x009/x007/x199/x254/740/x991", undefined],
    ["tile/entries/x009/x007/x199/x254/x740/991.p/7", { level: "entries", tile: Number.MAX_SAFE_INTEGER, width: 7 }],
  ] as const)("%s is read and written", (text, path) => {
    expect(parseTilePath(text)).toEqual(path);
    if (path !== undefined) expect(formatTilePath(path)).toBe(text);
  });

  it.each([
    "",
    "tile/0",
    "tile/0/0",
    "tile/0/0000",
    "tile/00/000",
    "tile/64/000",
    "tile/-1/000",
    "tile/0/x000/001",
    "tile/0/001/002",
    "tile/0/x001",
    "tile/0/x001/x002",
    "tile/0/x001//002",
    "tile/0/X001/002",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/0/000.p/01",
    "tile/0/000.p/",
    "tile/0/000.p",
    "tile/0/000/p/1",
    "tile/0/000.p/1/",
    "tile/0/000\n",
    "/tile/0/000",
    "tile/Entries/000",
    "tile/entries/../000",
    "tile/0/x009/x007/x199/x254/x740/992",
    "tile/0/x001/x000/x000/x000/x000/x000/000",
    "tile/0/٠٠٠",
  ])("is not %j", (text) => {
    expect(parseTilePath(text)).toBeUndefined();
  });
});

describe("the width of a tile", () => {
  it("is that of the specification's example, a tree of 70,000", () => {
    const widths = (level: number | "entries", tiles: number[]) => tiles.map((tile) => tileWidth(70_000, level, tile));
    expect(widths(0, [0, 272, 273, 274])).toEqual([256, 256, 112, 0]);
    expect(widths("entries", [0, 272, 273, 274])).toEqual([256, 256, 112, 0]);
    expect(widths(1, [0, 1, 2])).toEqual([256, 17, 0]);
    expect(widths(2, [0, 1])).toEqual([1, 0]);
    expect(widths(3, [0])).toEqual([0]);
  });
});
