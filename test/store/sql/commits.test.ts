import { createSecretKey, randomBytes } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, it } from "vitest";
import { readCommits, sumsOf } from "../../../src/store/sql/commits.ts";
import type { Row } from "../../../src/store/sql/rows/database.ts";
import { rowMac } from "../../../src/store/sql/rows/mac.ts";
import type { Store } from "../../../src/store/store.ts";
import { grown, newLog } from "../../support/log-store-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { pendingKey, sqliteBackdoor, unlocked } from "../../support/store-fixture.ts";

const key = createSecretKey(randomBytes(32));
const mac = rowMac(key);

const event = {
  actor: "ann",
  action: "encrypt_pii",
  tenantId: "acme",
  purpose: "data",
  keyId: "",
  outcome: "OK",
  requestId: "",
  count: 1,
} as const;

describe("the count of commits", () => {
  let file: string;
  let store: Store;
  beforeEach(async () => {
    const door = sqliteBackdoor();
    file = door.file;
    store = await unlocked(await door.open(), key);
    return () => store.close();
  });

  const append = () => store.appendAudit([{ ...event, at: new Date() }]);

  /** What the file has at this moment, read by another connection. */
  async function stored() {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      const query = async (text: string) => db.prepare(text).all() as Row[];
      return { count: await readCommits(query, mac), sums: await sumsOf(query) };
    } finally {
      db.close();
    }
  }

  it("begins with the first commit of an unlocked store, and grows by one with each", async () => {
    expect((await stored()).count).toBeUndefined();
    await append();
    expect((await stored()).count).toMatchObject({ commits: 1, headsSince: undefined });
    await store.insertPending(pendingKey());
    await append();
    expect((await stored()).count).toMatchObject({ commits: 3 });
  });

  it("grows by one with a group of writes", async () => {
    await append();
    await Promise.all(Array.from({ length: 50 }, () => store.insertPending(pendingKey())));
    // The first may be a group of its own.
    expect((await stored()).count!.commits).toBeLessThanOrEqual(3);
  });

  it("stays where a write failed", async () => {
    await append();
    const pending = pendingKey();
    await store.insertPending(pending);
    expect(await thrownBy(() => store.insertPending(pending))).toBeKmsError("CONFLICT");
    expect((await stored()).count).toMatchObject({ commits: 2 });
  });

  it("has sums over all heads, whatever was written", async () => {
    const other = newLog({ tenantId: "globex" });
    await Promise.all([append(), store.createLog(newLog()), store.createLog(other)]);
    await store.appendLog(grown(newLog(), 3));
    const { expect: at, next } = grown(newLog(), 3);
    const failed = thrownBy(() => store.appendLog(grown(newLog(), 5)));
    await Promise.all([failed, store.appendLog(grown(other, 300)), append()]);
    expect(await failed).toBeKmsError("CONFLICT");
    await store.appendLog(grown({ ...at, ...next }, 2));
    const { count, sums } = await stored();
    expect(count!.sums).toEqual(sums);
    expect(sums.kms_logs).not.toEqual(new Uint8Array(32));
    expect(sums.kms_audit_writers).not.toEqual(new Uint8Array(32));
  });

  it("begins with the heads of a store that was not counted before", async () => {
    await store.createLog(newLog());
    await append();
    const before = await stored();
    new DatabaseSync(file).exec("delete from kms_commits");
    await store.appendLog(grown(newLog(), 3));
    const { count, sums } = await stored();
    expect(count).toMatchObject({ commits: 1 });
    expect(count!.sums).toEqual(sums);
    expect(sums.kms_audit_writers).toEqual(before.sums.kms_audit_writers);
  });

  it("does not add up with a head that was put back", async () => {
    await store.createLog(newLog());
    const back = new DatabaseSync(file);
    const [early] = back.prepare("select * from kms_logs").all() as Row[];
    await store.appendLog(grown(newLog(), 3));
    back
      .prepare("update kms_logs set size = ?, root = ?, frontier = ?, changed_at = ?, mac = ?")
      .run(early!.size!, early!.root!, early!.frontier!, early!.changed_at!, early!.mac!);
    back.close();
    const { count, sums } = await stored();
    expect(count!.sums.kms_logs).not.toEqual(sums.kms_logs);
    expect(count!.sums.kms_audit_writers).toEqual(sums.kms_audit_writers);
  });

  it("is authentic, or nothing is written", async () => {
    await append();
    const back = new DatabaseSync(file);
    back.exec("update kms_commits set commits = commits + 1");
    expect(await thrownBy(append)).toBeKmsError("DATA_LOSS", "the count of commits");
    expect(back.prepare("select count(*) as count from kms_audit").get()).toEqual({ count: 1 });
    back.close();
  });
});
