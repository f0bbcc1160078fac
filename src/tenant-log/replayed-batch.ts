/** Where a batch lies that was stored before: the paths of its entries in the present tree, from what is stored of it. */
import type { LogBatch } from "../batch/enter.ts";
import { KmsError } from "../errors.ts";
import { hashBytes } from "../tlog/merkle.ts";
import { isIncluded } from "../tlog/verify-proof.ts";
import { storedTree } from "../tlog/stored-tree.ts";
import type { LogHead, LogRequest, LogStore } from "../store/log-store.ts";
import { entriesIn } from "./group.ts";

/** A path for each entry of `batch`. DATA_LOSS where one of them is not in the log, or what is stored does not lead to its root. */
export async function placeRemembered(
  store: Pick<LogStore, "logHashes">,
  head: LogHead,
  { firstIndex, count }: LogRequest,
  batch: LogBatch,
): Promise<Uint8Array[]> {
  const lost = () =>
    new KmsError("DATA_LOSS", `log ${head.number} of tenant ${head.tenantId} does not hold a batch that it remembers`);
  if (entriesIn(batch) !== count) throw lost();
  if (count === 0) return [];
  const tree = storedTree((level, tile) => store.logHashes(head, level, tile));
  const paths = await tree.inclusionPaths(firstIndex, count, head.size);
  paths.forEach((path, at) => {
    const leaf = batch.leaves.subarray(at * hashBytes, (at + 1) * hashBytes);
    if (!isIncluded({ leaf, index: firstIndex + at, path }, head)) throw lost();
  });
  return paths;
}
