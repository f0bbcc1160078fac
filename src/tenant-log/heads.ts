/**
 * The head of the log to which a tenant's batches go: as it is stored, believed only if its parts fit, and remembered, because this process
 * knows best what it stored itself.
 */
import { LRUCache } from "lru-cache";
import { hasCode, KmsError } from "../errors.ts";
import { emptyRoot, rootOf } from "../tlog/merkle.ts";
import { isConsistent } from "../tlog/verify-proof.ts";
import { storedTree } from "../tlog/stored-tree.ts";
import type { LogHead } from "../store/log-store.ts";
import type { Store } from "../store/store.ts";
import type { Time } from "../runtime/time.ts";

export interface Heads {
  /**
   * Of the tenant's open log, which is made where there is none: the first, or the one after a log that ended with its backup. Undefined
   * where `signingKeyId` is not ACTIVE any more. One that was ACTIVE while the log was open is handed over in it, whoever rotates it.
   */
  open(tenantId: string, signingKeyId: string): Promise<LogHead | undefined>;
  /** Returns the head of the tenant's last log, open or not; undefined if there is none. */
  last(tenantId: string): Promise<LogHead | undefined>;
  /** The head is stored as this. */
  stored(head: LogHead): void;
  /** The head may be another: the next call reads it. */
  doubt(tenantId: string): void;
}

export interface HeadsOptions {
  store: Pick<Store, "logHead" | "nextLogNumber" | "createLog" | "logHashes" | "active">;
  /** `fluo.kms.issuer`: a log is named `<issuer>/<tenant_id>` when it is born. */
  issuer: string;
  time: Time;
}

interface Known {
  head: LogHead;
  isCurrent: boolean;
  /** A key that was ACTIVE while the log was open. */
  signingKeyId: string;
}

const maxHeads = 10_000;

export function createHeads({ store, issuer, time }: HeadsOptions): Heads {
  const known = new LRUCache<string, Known>({ max: maxHeads });

  function stored(head: LogHead): void {
    const before = known.get(head.tenantId);
    const signingKeyId = before?.head.number === head.number ? before.signingKeyId : "";
    known.set(head.tenantId, { head, isCurrent: true, signingKeyId });
  }

  async function read(tenantId: string): Promise<LogHead | undefined> {
    const head = await store.logHead(tenantId);
    if (head === undefined) return undefined;
    const earlier = known.get(tenantId)?.head;
    // Nothing is appended to a log that ended, whatever it lacks.
    if (head.state !== "open" && earlier?.number === head.number) return head;
    believe(head, earlier);
    if (earlier?.number === head.number) await refuseFork(head, earlier);
    return head;
  }

  /** A store that was set back, and grew past the earlier head since, holds another tree than was signed. */
  async function refuseFork(head: LogHead, earlier: LogHead): Promise<void> {
    if (earlier.size === 0 || earlier.size === head.size) return;
    const stored = storedTree((level, tile) => store.logHashes(head, level, tile));
    if (isConsistent(earlier, head, await stored.consistencyPath(earlier.size, head.size))) return;
    throw setBack(head, earlier);
  }

  async function create(tenantId: string): Promise<void> {
    const number = await store.nextLogNumber(tenantId);
    const origin = originOf(issuer, tenantId, number);
    const at = time.now();
    const head: LogHead = {
      tenantId,
      number,
      origin,
      size: 0,
      root: emptyRoot,
      frontier: new Uint8Array(),
      state: "open",
      createdAt: at,
      changedAt: at,
    };
    await store.createLog(head).catch((error) => {
      if (!hasCode(error, "CONFLICT")) throw error; // another replica was first
    });
  }

  async function last(tenantId: string): Promise<LogHead | undefined> {
    const cached = known.get(tenantId);
    return cached?.isCurrent ? cached.head : read(tenantId);
  }

  return {
    async open(tenantId, signingKeyId) {
      const cached = known.get(tenantId);
      if (cached?.isCurrent && cached.signingKeyId === signingKeyId) return cached.head;
      let head = await last(tenantId);
      if (head?.state !== "open") {
        await create(tenantId);
        head = await read(tenantId);
      }
      if (head?.state !== "open")
        throw new KmsError("CONFLICT", `the log of tenant ${tenantId} was made and is not there`);
      const isHandedOver = cached?.head.number === head.number && cached.signingKeyId === signingKeyId;
      // This process may believe for a while in a key that another has rotated, before the log was there to say so.
      if (!isHandedOver && (await store.active(tenantId, "signing"))?.keyId !== signingKeyId) return undefined;
      known.set(tenantId, { head, isCurrent: true, signingKeyId });
      return head;
    },

    last,

    stored,

    doubt(tenantId) {
      const cached = known.get(tenantId);
      if (cached !== undefined) cached.isCurrent = false;
    },
  };
}

/** What names a log: it stays as it was when the log was born. */
export function originOf(issuer: string, tenantId: string, number: number): string {
  return number === 1 ? `${issuer}/${tenantId}` : `${issuer}/${tenantId}/${number}`;
}

/** DATA_LOSS for a head whose frontier does not lead to its root, or that lies behind one that was stored before. */
export function believe(head: LogHead, earlier?: LogHead): void {
  const { tenantId, number, size } = head;
  if (Buffer.compare(rootOf(head), head.root) !== 0) {
    throw new KmsError(
      "DATA_LOSS",
      `log ${number} of tenant ${tenantId} has a root that its frontier does not lead to`,
    );
  }
  if (earlier === undefined || number > earlier.number) return;
  const isSame = size === earlier.size && Buffer.compare(head.root, earlier.root) === 0;
  if (number === earlier.number && (size > earlier.size || isSame)) return;
  throw setBack(head, earlier);
}

function setBack({ tenantId, number, size }: LogHead, earlier: LogHead): KmsError {
  return new KmsError(
    "DATA_LOSS",
    `log ${number} of tenant ${tenantId} has ${size} entries and does not go on from log ${earlier.number} with ${earlier.size}: the store was set back`,
  );
}
