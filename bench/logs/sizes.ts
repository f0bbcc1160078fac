/** Services whose tenants have logs of one size each. Every log is made below its store's contract: it says that a log is born empty. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { appendOf } from "../../src/tenant-log/group.ts";
import { originOf } from "../../src/tenant-log/heads.ts";
import { openLocal } from "../../src/provider/local/open.ts";
import { packRuns } from "../../src/tlog/entry-run.ts";
import { emptyRoot, emptyTree, growTree, hashBytes, rootOf } from "../../src/tlog/merkle.ts";
import type { LogHead, LogStore } from "../../src/store/log-store.ts";
import { openStore } from "../../src/store/registry.ts";
import { fill } from "../growth/fill.ts";
import { type Service, startService } from "../server/server.ts";
import { temporaryDirectory } from "../temporary.ts";
import { realTime } from "../../src/runtime/time.ts";

export interface LogSize {
  leaves: number;
  /** Whether the first tenant's log has all its entries and hashes in the store, not only its head. */
  isWhole: boolean;
}

export const logSizes: readonly LogSize[] = [
  { leaves: 10_000, isWhole: true },
  { leaves: 1_000_000, isWhole: true },
  { leaves: 10_000_000, isWhole: false },
];

export const tenants: readonly string[] = Array.from({ length: 1000 }, (_, index) => `tenant-${index}`);

export async function startWithLogs(size: LogSize): Promise<Service> {
  const dir = temporaryDirectory();
  const [file, masterKeyFile] = [join(dir, "kms.db"), join(dir, "master.key")];
  const provider = await openLocal({ name: "local", masterKeyFile });
  const settings = { name: "sqlite", file } as const;
  const keys = tenants.map((tenantId) => {
    return { tenantId, purposes: ["signing"] as const, versions: 1, activatedAt: new Date() };
  });
  await fill(settings, provider, keys);
  const store = await unlockStore(await openStore(settings, realTime), providerKeys({ current: provider }), realTime);
  for (const [index, tenantId] of tenants.entries()) {
    if (index === 0 && size.isWhole) await writeWhole(store, tenantId, size.leaves);
    else await store.createLog(headOf(tenantId, size.leaves));
  }
  await store.close();
  return startService({ env: { FLUO_KMS_SQLITE_FILE: file, FLUO_KMS_LOCAL_MASTER_KEY_FILE: masterKeyFile } });
}

const issuer = "localhost";

/** As if it had that many leaves: growing and proving new ones reads nothing else. */
function headOf(tenantId: string, size: number): LogHead {
  const bits = size.toString(2).replaceAll("0", "").length;
  const frontier = randomBytes(bits * hashBytes);
  const [origin, at] = [originOf(issuer, tenantId, 1), new Date()];
  const root = size === 0 ? emptyRoot : rootOf({ size, frontier });
  return { tenantId, number: 1, origin, size, root, frontier, state: "open", createdAt: at, changedAt: at };
}

const entriesAGroup = 10_000;
/** Of an entry, and of it what it does not share with those beside it. */
const [entryBytes, shownBytes] = [330, 56];

/** In large groups, of entries that say nothing. */
async function writeWhole(store: LogStore, tenantId: string, leaves: number): Promise<void> {
  let head = headOf(tenantId, 0);
  await store.createLog(head);
  let tree = emptyTree;
  for (let written = 0; written < leaves; written += entriesAGroup) {
    const count = Math.min(entriesAGroup, leaves - written);
    const batch = {
      spans: count,
      leaves: randomBytes(count * hashBytes),
      entries: entriesOf(count),
      refused: [],
      signedAtMs: 0,
      requestId: "",
      digest: "",
    };
    const growth = growTree(tree, batch.leaves);
    const append = appendOf(head, [{ batch }], growth, new Date());
    await store.appendLog(append);
    head = { ...head, ...append.next };
    tree = growth.after;
  }
}

function entriesOf(count: number): Uint8Array {
  const places = [{ at: 0, bytes: shownBytes }];
  return packRuns([{ form: randomBytes(entryBytes), places, count, shown: randomBytes(count * shownBytes) }]);
}
