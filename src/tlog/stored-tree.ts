/**
 * Proofs from the stored hashes of a log (C2SP tlog-tiles), in a tree of any size up to the log's own. Each complete subtree lies in one
 * tile, so that the tiles are known before one is read, and each is read once.
 *
 * Stored hashes are not authenticated: whoever hands on what is made of them first checks that it leads to the root.
 */
import { KmsError } from "../errors.ts";
import { hashBytes, nodeHash, type Tree } from "./merkle.ts";
import { fullTile, tileHeight } from "./tiles.ts";
import { consistencyPath, type HashOf, inclusionPaths, rangeOf, type Subtree, subtreesOf } from "./proof-ranges.ts";

/** The hashes that a tile has so far, at most 256 of 32 bytes; those of leaves behind the tree's too. */
export type TileReader = (level: number, tile: number) => Promise<Uint8Array>;

/** Paths are hashes of 32 bytes, one behind the other. DATA_LOSS where a tile has fewer hashes than the tree's size tells. */
export function storedTree(readTile: TileReader) {
  return {
    /** RFC 6962, 2.1.1: of `count` leaves from `first` on, each from the leaf up. */
    async inclusionPaths(first: number, count: number, size: number): Promise<Uint8Array[]> {
      const leaves = { start: first, end: first + count };
      if (!(first >= 0 && count > 0 && leaves.end <= size)) throw outside("a leaf lies in its tree");
      return withHashes(readTile, (hashOf) => inclusionPaths(leaves, { start: 0, end: size }, hashOf));
    },

    /** RFC 6962, 2.1.2: that the tree of `size` leaves goes on from the one of `from`. */
    async consistencyPath(from: number, size: number): Promise<Uint8Array> {
      if (!(from > 0 && from <= size)) throw outside("a tree goes on from one that is not empty and not larger");
      return withHashes(readTile, (hashOf) => consistencyPath(from, size, hashOf));
    },

    /** The tree as it was at a size, of which `rootOf` makes the root. */
    async treeAt(size: number): Promise<Tree> {
      const subtrees = subtreesOf({ start: 0, end: size }).map(rangeOf);
      return { size, frontier: Buffer.concat(await withHashes(readTile, (hashOf) => subtrees.map(hashOf))) };
    },
  };
}

/** Goes through the proof twice: the first time to learn what it is made of. */
async function withHashes<Proof>(readTile: TileReader, prove: (hashOf: HashOf) => Proof): Promise<Proof> {
  const needed = new Map<string, Place>();
  prove((range) => {
    for (const place of subtreesOf(range).map(placeOf)) {
      const { key, end } = place;
      if (end > (needed.get(key)?.end ?? 0)) needed.set(key, place);
    }
    return noHash;
  });
  const tiles = new Map<string, Tile>();
  await Promise.all(
    Array.from(needed.values(), async ({ key, level, tile, end }) => {
      const hashes = await readTile(level, tile);
      if (hashes.length < end * hashBytes) {
        throw new KmsError("DATA_LOSS", `tile ${tile} of level ${level} of the log has fewer than ${end} hashes`);
      }
      tiles.set(key, openTile(hashes));
    }),
  );
  const subtreeHash = ({ key, height, at }: Place) => tiles.get(key)!(height, at);
  return prove((range) =>
    subtreesOf(range)
      .map((subtree) => subtreeHash(placeOf(subtree)))
      .reduceRight((right, left) => nodeHash(left, right)),
  );
}

/** Where a complete subtree is made of stored hashes: those from its tile's `at * 2^height` on, until before `end`. */
interface Place {
  key: string;
  level: number;
  tile: number;
  height: number;
  at: number;
  end: number;
}

function placeOf({ level: treeLevel, index }: Subtree): Place {
  const level = Math.floor(treeLevel / tileHeight);
  const height = treeLevel % tileHeight;
  const inTile = fullTile / 2 ** height;
  const [tile, at] = [Math.floor(index / inTile), index % inTile];
  return { key: `${level}/${tile}`, level, tile, height, at, end: (at + 1) * 2 ** height };
}

/** A node of a tile, `height` levels above its hashes. */
type Tile = (height: number, at: number) => Uint8Array;

/** The nodes above a tile's hashes are made when one of their height is asked for. */
function openTile(hashes: Uint8Array): Tile {
  const rows = [
    Array.from({ length: hashes.length / hashBytes }, (_, i) => hashes.subarray(i * hashBytes, (i + 1) * hashBytes)),
  ];
  const row = (height: number): Uint8Array[] => {
    const below = height === 0 ? [] : row(height - 1);
    rows[height] ??= Array.from({ length: Math.floor(below.length / 2) }, (_, i) =>
      nodeHash(below[2 * i]!, below[2 * i + 1]!),
    );
    return rows[height];
  };
  return (height, at) => row(height)[at]!;
}

function outside(text: string): KmsError {
  return new KmsError("INTERNAL", text);
}

const noHash = new Uint8Array(hashBytes);
