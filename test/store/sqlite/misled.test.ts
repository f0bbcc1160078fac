/** A SQLite file whose damage leads to other rows than the ones that were looked for, or back to those that were read: no HMAC shows either. */
import { createSecretKey, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import type { Store } from "../../../src/store/store.ts";
import { examined } from "../../support/examined.ts";
import { thrownBy } from "../../support/matchers.ts";
import { treeOf } from "../../support/sqlite-tree.ts";
import { addKey, sqliteBackdoor, unlocked } from "../../support/store-fixture.ts";

const key = createSecretKey(randomBytes(32));

/** A store that `fill` has filled, and that `damage` has changed while nobody had it open: `page` is the only one of `tree`. */
async function damagedStore(
  tree: string,
  fill: (store: Store) => Promise<void>,
  damage: (page: Buffer) => void,
): Promise<Store> {
  const { file, open } = sqliteBackdoor();
  for (let process = 0; process < 2; process += 1) {
    const store = await unlocked(await open(), key);
    await fill(store);
    await store.close();
  }
  const { bytes, rootAt, pageBytes } = treeOf(file, tree);
  const page = bytes.subarray(rootAt, rootAt + pageBytes);
  expect(leaves).toContain(page[0]);
  damage(page);
  writeFileSync(file, bytes);
  const store = await unlocked(await open(), key);
  onTestFinished(() => store.close());
  return store;
}

/** https://www.sqlite.org/fileformat2.html#b_tree_pages */
const leaves = [10, 13];
const cellsAt = 3;
const pointersStart = 8;
/** Bytes before the values of an entry that has a text of 32 characters and a small row id. */
const lengthAndHeader = 4;

/** Exchanges the first two rows of a page, so that every index leads to the other one. */
function exchangeRows(page: Buffer): void {
  const [first, second] = [page.readUInt16BE(pointersStart), page.readUInt16BE(pointersStart + 2)];
  const [one, other] = [rowidAt(page, first), rowidAt(page, second)];
  [page[one], page[other]] = [page[other]!, page[one]!];
  page.writeUInt16BE(second, pointersStart);
  page.writeUInt16BE(first, pointersStart + 2);
}

/** A cell begins with its length, of seven bits a byte; a small row id is one byte. */
function rowidAt(page: Buffer, cell: number): number {
  let at = cell;
  while (page[at]! >= 0x80) at += 1;
  return at + 1;
}

async function keyOfEach(store: Store): Promise<void> {
  for (const tenantId of ["acme", "zeta"]) {
    if ((await store.lastVersion(tenantId, "data")) === 0) await addKey(store, { tenantId });
  }
}

function uses(count: number) {
  const event = { actor: "ann", action: "sign_span", tenantId: "acme", purpose: "signing", keyId: "" } as const;
  const row = { ...event, at: new Date(), outcome: "OK", requestId: "", count: 1 };
  return (store: Store) => store.appendAudit(Array.from({ length: count }, () => row));
}

it("gives no tenant another's key", async () => {
  const store = await damagedStore("kms_keys", keyOfEach, exchangeRows);
  const looks = [
    () => store.active("acme", "data"),
    () => store.list("acme", "data"),
    () => store.listKeys({ tenantId: "acme", limit: 9 }),
  ];
  for (const look of looks) expect(await thrownBy(look)).toBeKmsError("DATA_LOSS", "in the store is not as it was");
});

it("is read to an end where the newest writer of the audit trail seems to be an earlier one", async () => {
  const store = await damagedStore("sqlite_autoindex_kms_audit_writers_1", uses(3), (page) => {
    const last = page.readUInt16BE(pointersStart + 2 * (page.readUInt16BE(cellsAt) - 1));
    page.write("00000000", last + lengthAndHeader);
  });
  expect(await thrownBy(() => store.auditHeads("", 9))).toBeKmsError("DATA_LOSS", "the order of kms_audit_writers");
  expect((await examined(store)).problems).not.toEqual([]);
});
