/**
 * The checkpoints that an operator knows of logs in a backup. What a log had after the backup was made is lost, and others may hold a
 * checkpoint of it: a log goes on only where it reaches the latest one that is known.
 */
import type { KeyObject } from "node:crypto";
import { rootOf } from "../../tlog/merkle.ts";
import { signersOf } from "../../tlog/signed-note.ts";
import { storedTree } from "../../tlog/stored-tree.ts";
import type { LogHead } from "../../store/log-store.ts";
import type { Tables } from "../../store/offline/tables.ts";
import type { KeptCheckpoint } from "../files.ts";

export interface LogOutcome {
  head: LogHead;
  goesOn: boolean;
  why: string;
}

/** What becomes of each log of a backup that is restored. */
export function outcomesOf(
  from: Tables,
  key: KeyObject,
  { heads, known }: { heads: readonly LogHead[]; known: readonly KeptCheckpoint[] },
): Promise<LogOutcome[]> {
  return Promise.all(
    heads.map(async (head) => {
      if (head.state !== "open") return { head, goesOn: false, why: "it had ended" };
      const own = known.filter(({ origin }) => origin === head.origin);
      if (own.length === 0) return { head, goesOn: false, why: "no checkpoint of it is known" };
      for (const checkpoint of own) {
        const reason = await shortfall(from, key, head, checkpoint);
        if (reason !== undefined) return { head, goesOn: false, why: reason };
      }
      return { head, goesOn: true, why: `it reaches the checkpoint of ${Math.max(...own.map(({ size }) => size))}` };
    }),
  );
}

/** Why the log does not reach a checkpoint; undefined where it does. */
async function shortfall(
  from: Tables,
  key: KeyObject,
  head: LogHead,
  { note, size, root }: KeptCheckpoint,
): Promise<string | undefined> {
  const keys = (await from.signingKeys(key, head.tenantId)).filter(({ compromisedAt }) => compromisedAt === undefined);
  const signers = signersOf(
    note,
    keys.map(({ publicKey }) => ({ name: head.origin, publicKey })),
  );
  if (signers === undefined) return `a signature of the checkpoint of ${size} does not hold`;
  if (signers.length === 0) return `no key of the tenant in the backup signed the checkpoint of ${size}`;
  if (size > head.size) return `it does not reach the checkpoint of ${size}`;
  const tree = await storedTree((level, tile) => from.logHashes(head, level, tile)).treeAt(size);
  return Buffer.compare(rootOf(tree), root) === 0 ? undefined : `it has another root at ${size} than the checkpoint`;
}
