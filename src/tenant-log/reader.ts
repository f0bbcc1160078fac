/** Reads the logs of tenants: heads, which their rows authenticate, and what they lead to. Makes neither a log nor a key. */
import { KmsError } from "../errors.ts";
import type { Waiter } from "../keys/waiter.ts";
import type { Keyring } from "../keys/keyring.ts";
import { firstEntries } from "../tlog/entry-bundle.ts";
import { signCheckpoint } from "../tlog/checkpoint.ts";
import { hashBytes } from "../tlog/merkle.ts";
import type { TreeHead } from "../tlog/verify-proof.ts";
import { type TilePath, tileWidth } from "../tlog/tiles.ts";
import type { LogHead, LogName, LogStore } from "../store/log-store.ts";
import { type CheckedProofs, checkedProofs } from "./proofs.ts";
import { believe } from "./heads.ts";

export interface LogReader {
  /** A log of a tenant, the last one unless `number` is given. NOT_FOUND where there is no such log. */
  open(tenantId: string, number?: number): Promise<OpenLog>;
  /** The leaf hash at an index of a log's tree, whose root is authentic: the present one, or one that is on record. */
  leaf(log: LogName & TreeHead, index: number): Promise<Uint8Array>;
}

/** A log at the head that it had when it was opened, and the proofs of that. */
export interface OpenLog extends Pick<CheckedProofs, "inclusion" | "consistency"> {
  readonly head: LogHead;
  /** The head as a signed note: the same head and key always give the same bytes. KEY_UNUSABLE where no signing key is ACTIVE. */
  checkpoint(waiter?: Waiter): Promise<string>;
  /**
   * A tile or bundle, or its first hashes or entries. NOT_FOUND for what the log does not have. As it is stored: whoever reads all that it
   * is part of checks it by the checkpoint.
   */
  tile(path: TilePath): Promise<Uint8Array>;
}

export interface LogReaderParts {
  store: Pick<LogStore, "logHead" | "logHashes" | "logEntries">;
  keys: Pick<Keyring, "activeSigningKey" | "publicKeys">;
}

export function logReader(parts: LogReaderParts): LogReader {
  const { store } = parts;
  return {
    async open(tenantId, number) {
      const head = await store.logHead(tenantId, number);
      if (head === undefined)
        throw new KmsError("NOT_FOUND", `tenant ${tenantId} has no log ${number ?? ""}`.trimEnd());
      believe(head);
      return openLog(parts, head);
    },
    leaf: (log, index) => checkedProofs(store, log).leaf(index),
  };
}

function openLog({ store, keys }: LogReaderParts, head: LogHead): OpenLog {
  const { tenantId, number, size } = head;
  return {
    head,

    async checkpoint(waiter) {
      // Who has a log has a key, unless its record was taken away: to sign by a new one would only hide that.
      const known = await keys.publicKeys.all(tenantId, waiter);
      if (known.keys.length === 0) throw new KmsError("KEY_UNUSABLE", `tenant ${tenantId} has no signing key`);
      const { key } = await keys.activeSigningKey(tenantId, waiter);
      return signCheckpoint(head, key);
    },

    ...checkedProofs(store, head),

    async tile({ level, tile, width }) {
      if (width > tileWidth(size, level, tile)) throw new KmsError("NOT_FOUND", "the log has no such tile");
      const found =
        level === "entries"
          ? firstEntries(await store.logEntries(head, tile), width)
          : firstHashes(await store.logHashes(head, level, tile), width);
      if (found !== undefined) return found;
      throw new KmsError(
        "DATA_LOSS",
        `log ${number} of tenant ${tenantId} lacks a part of tile ${tile}, level ${level}`,
      );
    },
  };
}

function firstHashes(tile: Uint8Array, count: number): Uint8Array | undefined {
  return tile.length < count * hashBytes ? undefined : tile.subarray(0, count * hashBytes);
}
