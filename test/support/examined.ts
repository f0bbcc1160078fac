/** A store that is examined to its end, and stores with something of everything. */
import type { ExamineCursor } from "../../src/store/integrity-store.ts";
import type { RowProblem } from "../../src/store/row-problem.ts";
import type { Store } from "../../src/store/store.ts";
import type { AuditEvent } from "../../src/store/audit-store.ts";
import { grown, hashOf, newLog } from "./log-store-fixture.ts";
import { addKey } from "./store-fixture.ts";

export interface Examined {
  problems: RowProblem[];
  rows: number;
  pieces: number;
}

/** Goes through all pieces. `between` is called after each, with its number. */
export async function examined(store: Store, between?: (piece: number) => Promise<void>): Promise<Examined> {
  const all: Examined = { problems: [], rows: 0, pieces: 0 };
  let from: ExamineCursor | undefined;
  do {
    const { rows, problems, next } = await store.examine(from);
    all.problems.push(...problems);
    all.rows += rows;
    all.pieces += 1;
    await between?.(all.pieces);
    from = next;
  } while (from !== undefined);
  return all;
}

/** Keys of four tenants with two versions each, uses in the trail, a remembered request, a log of 700 entries and an empty one. */
export async function fill(store: Store): Promise<void> {
  for (let tenant = 0; tenant < 4; tenant += 1) {
    const tenantId = `tenant-${tenant}`;
    const first = await addKey(store, { tenantId });
    await addKey(store, { tenantId });
    await store.appendAudit([use(first)]);
  }
  const request = { requestId: "r1", digest: hashOf("r1"), firstIndex: 0, count: 300, signedAt: new Date() };
  let head = newLog({ tenantId: "tenant-1" });
  await store.createLog(head);
  for (const count of [300, 399, 1]) {
    const group = grown(head, count, head.size === 0 ? [request] : []);
    await store.appendLog(group);
    head = { ...head, ...group.next };
  }
  await store.createLog(newLog({ tenantId: "tenant-2" }));
  await store.lease("some-work", "me", 60_000);
}

/** A row of the trail that tells of uses of a key. */
export function use({ tenantId, keyId }: { tenantId: string; keyId: string }): AuditEvent {
  return {
    at: new Date(),
    actor: "ann",
    action: "encrypt_pii",
    tenantId,
    purpose: "data",
    keyId,
    outcome: "OK",
    requestId: "",
    count: 3,
  };
}
