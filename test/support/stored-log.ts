/** A log's hashes in memory, as tiles. */
import { emptyTree, growTree, newNodes } from "../../src/tlog/merkle.ts";
import { fullTile, tileHeight } from "../../src/tlog/tiles.ts";

const tileBytes = 32 * fullTile;

/** `reads` are the tiles that were read, as `level/tile`. */
export function tilesOf(leaves: readonly Uint8Array[]) {
  const growth = growTree(emptyTree, Buffer.concat(leaves));
  const reads: string[] = [];
  return {
    reads,
    async read(level: number, tile: number): Promise<Uint8Array> {
      reads.push(`${level}/${tile}`);
      const { hashes } = newNodes(growth, level * tileHeight);
      return hashes.slice(tile * tileBytes, (tile + 1) * tileBytes);
    },
  };
}
