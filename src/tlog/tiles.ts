/**
 * C2SP tlog-tiles: a log's hashes and entries as resources that never change once they are full. A tile has 256 hashes of a level of the
 * tree, of which every eighth is stored; a bundle has 256 entries. The path of one that is not full yet says how wide it is.
 */
import { parseIndex } from "../encoding/digits.ts";
import { nodesIn } from "./merkle.ts";

export const fullTile = 256;
/** Levels of the tree from a level of tiles to the next. */
export const tileHeight = 8;

export interface TilePath {
  /** Of the tile: 0 has leaf hashes, 1 the nodes over 256 of them, and so on. */
  level: number | "entries";
  /** Index at its level. */
  tile: number;
  /** Hashes or entries: 1 to 256. */
  width: number;
}

const form = /^tile\/(?<level>entries|[0-9]{1,2})\/(?<tile>(x[0-9]{3}\/){0,5}[0-9]{3})(\.p\/(?<width>[0-9]{1,3}))?$/;
const lastLevel = 63;

/** `tile/<L>/<N>[.p/<W>]`, where N is in groups of three digits, all but the last with an x before them. */
export function formatTilePath({ level, tile, width }: TilePath): string {
  const digits = String(tile);
  const groups = digits.padStart(3 * Math.ceil(digits.length / 3), "0").match(/.{3}/g)!;
  const inner = groups.slice(0, -1).map((group) => `x${group}/`);
  const partial = width === fullTile ? "" : `.p/${width}`;
  return `tile/${level}/${inner.join("")}${groups.at(-1)}${partial}`;
}

/** Undefined for any text but the one that `formatTilePath` writes. */
export function parseTilePath(text: string): TilePath | undefined {
  const groups = form.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const level: TilePath["level"] = groups.level === "entries" ? "entries" : Number(groups.level);
  const tile = Number(groups.tile!.replace(/[x/]/g, ""));
  const width = groups.width === undefined ? fullTile : parseIndex(groups.width);
  if (!Number.isSafeInteger(tile) || width === undefined || width < 1 || width > fullTile) return undefined;
  if (level !== "entries" && level > lastLevel) return undefined;
  const path = { level, tile, width };
  return formatTilePath(path) === text ? path : undefined;
}

/** How wide a tile is in a tree of `size`: 0 where the tree does not reach it. */
export function tileWidth(size: number, level: TilePath["level"], tile: number): number {
  const nodes = nodesIn(size, level === "entries" ? 0 : level * tileHeight);
  return Math.max(0, Math.min(fullTile, nodes - tile * fullTile));
}
