/**
 * The heads of all audit writers at the beginning of a verification, 56 bytes of memory each. There are no more of them than services were
 * started: a service writes one chain from its start to its end, and only authentic heads count.
 */
import { setImmediate } from "node:timers/promises";
import { KmsError } from "../errors.ts";
import { refuseAborted } from "../runtime/deadline.ts";
import type { AuditHead } from "../store/audit-store.ts";
import type { Store } from "../store/store.ts";

export interface HeadsAtStart {
  /** The writer's head; one without rows for a writer that had none. */
  of(writerId: string): AuditHead;
}

const pageHeads = 1_000;
const idBytes = 16;
const sequenceBytes = 8;
const macBytes = 32;
const headBytes = idBytes + sequenceBytes + macBytes;

/** CANCELLED at the next page once nobody waits. */
export async function headsAtStart(store: Pick<Store, "auditHeads">, signal?: AbortSignal): Promise<HeadsAtStart> {
  const pages: Buffer[] = [];
  let found: AuditHead[];
  let after = "";
  do {
    refuseAborted(signal);
    found = await store.auditHeads(after, pageHeads);
    pages.push(packed(found));
    after = found.at(-1)?.writerId ?? "";
    await setImmediate();
  } while (found.length === pageHeads);
  return {
    of(writerId) {
      const id = Buffer.from(writerId, "hex");
      const page = pages.findLast((each) => each.length > 0 && Buffer.compare(each.subarray(0, idBytes), id) <= 0);
      const head = page && within(page, id);
      return { writerId, sequence: 0, mac: new Uint8Array(), ...head };
    },
  };
}

function packed(heads: readonly AuditHead[]): Buffer {
  const page = Buffer.alloc(heads.length * headBytes);
  for (const [index, { writerId, sequence, mac }] of heads.entries()) {
    const head = page.subarray(index * headBytes, (index + 1) * headBytes);
    const isWhole = head.write(writerId, "hex") === idBytes && mac.length === macBytes;
    if (!isWhole || writerId.length !== 2 * idBytes) {
      throw new KmsError("INTERNAL", `audit writer ${writerId} has a name or a head that no service writes`);
    }
    head.writeBigUInt64BE(BigInt(sequence), idBytes);
    head.set(mac, idBytes + sequenceBytes);
  }
  return page;
}

/** The head of `id` in a page, which is in the order of ids. */
function within(page: Buffer, id: Buffer): Pick<AuditHead, "sequence" | "mac"> | undefined {
  let [first, end] = [0, page.length / headBytes];
  while (first < end) {
    const middle = Math.floor((first + end) / 2);
    const head = page.subarray(middle * headBytes, (middle + 1) * headBytes);
    const order = Buffer.compare(head.subarray(0, idBytes), id);
    if (order === 0) {
      const sequence = Number(head.readBigUInt64BE(idBytes));
      return { sequence, mac: new Uint8Array(head.subarray(idBytes + sequenceBytes)) };
    }
    if (order < 0) first = middle + 1;
    else end = middle;
  }
  return undefined;
}
