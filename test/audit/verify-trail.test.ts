/** What of the audit trail shows when somebody edits the database: rows altered, removed or cut off, and whole writers gone. */
import { createSecretKey, randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createAuditTrail } from "../../src/audit/trail.ts";
import { headsAtStart } from "../../src/audit/heads-at-start.ts";
import { maxHeads, verifyAudit } from "../../src/audit/verify-trail.ts";
import type { AuditVerdict } from "../../src/store/audit-store.ts";
import type { Store } from "../../src/store/store.ts";
import { thrownBy } from "../support/matchers.ts";
import { sqliteBackdoor, unlocked } from "../support/store-fixture.ts";
import { wallTime } from "../support/wall-time.ts";

const key = createSecretKey(randomBytes(32));
const clock = () => new Date("2026-01-01T00:00:00.000Z");
let door: ReturnType<typeof sqliteBackdoor>;

/** A process that used a key of `rows` tenants, and what it said of itself at its end. */
async function process(rows: number) {
  const store = await unlocked(await door.open(), key);
  const trail = createAuditTrail({ store, time: wallTime(clock) });
  for (let n = 0; n < rows; n++) trail.used("ann", "sign_span", `tenant-${n}`, hex(n), "signing", n + 1);
  await trail.close();
  const { head } = await trail.status();
  await store.close();
  return head!;
}

const hex = (n: number) => n.toString(16).padStart(32, "0");

async function whileRunning<T>(work: (store: Store) => Promise<T>): Promise<T> {
  const store = await unlocked(await door.open(), key);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
const verified = () => whileRunning((store) => verifyAudit(store));

/** No time passes, so that a trail's close waits for its rows however long they take. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  door = sqliteBackdoor();
});
afterEach(() => {
  vi.useRealTimers();
});

it("finds nothing wrong with what processes wrote, and tells where each of them ended", async () => {
  const heads = [await process(10), await process(6_000)];
  const report = await verified();
  expect(report).toMatchObject({ events: 6_010, problems: [], problemCount: 0 });
  const ends = heads.map(({ writerId, sequence, mac }) => ({ writerId, sequence, mac: Buffer.from(mac) }));
  expect(report.heads.map((head) => ({ ...head, mac: Buffer.from(head.mac) }))).toEqual(
    ends.sort((a, b) => (a.writerId < b.writerId ? -1 : 1)),
  );
});

it.each<[what: string, change: string, problem: string]>([
  ...["actor", "action", "tenant_id", "key_id", "outcome"].map((column): [string, string, string] => [
    `a row whose ${column} was edited`,
    `update kms_audit set ${column} = 'x' || ${column} where sequence = 4`,
    "row 4 was altered",
  ]),
  ["a row whose count was edited", "update kms_audit set count = 0 where sequence = 4", "row 4 was altered"],
  ["rows that were removed", "delete from kms_audit where sequence in (4, 5)", "rows 4 to 5 are missing"],
  ["a tail that was cut", "delete from kms_audit where sequence > 3", "rows 4 to 10 are missing: the tail was cut"],
])("names %s", async (_, change, what) => {
  const { writerId } = await process(10);
  await door.sql(change);
  expect(await verified()).toMatchObject({ problems: [{ writerId, sequence: 4, what }], problemCount: 1 });
});

it("misses a writer that was removed with all its rows", async () => {
  const { writerId } = await process(3);
  await process(3);
  await door.sql("delete from kms_audit where writer_id = ?1", writerId);
  await door.sql("delete from kms_audit_writers where writer_id = ?1", writerId);
  expect(await verified()).toMatchObject({
    events: 3,
    problems: [{ writerId: "", sequence: 0, what: "2 writers were counted and 1 heads are here" }],
  });
});

it("takes no head, and no rows, of a writer without a name for one that was removed", async () => {
  const { writerId } = await process(3);
  await process(3);
  await whileRunning(async (store) => {
    for (const table of ["kms_audit", "kms_audit_writers"])
      await door.sql(`update ${table} set writer_id = '' where writer_id = ?1`, writerId);
    const at = { writerId: "", sequence: 0 };
    expect((await verifyAudit(store)).problems).toEqual([
      { ...at, what: "2 writers were counted and 1 heads are here" },
      { ...at, what: "3 rows name no writer" },
    ]);
  });
});

it("names the writer whose head was removed", async () => {
  const { writerId } = await process(3);
  await door.sql("delete from kms_audit_writers");
  const { problems } = await verified();
  expect(problems).toContainEqual(expect.objectContaining({ writerId, sequence: 0 }));
});

it("goes from page to page, keeps a thousand problems and counts them all", async () => {
  const problem = (sequence: number) => ({ writerId: "w", sequence, what: "altered" });
  const asked: unknown[] = [];
  const pages: Pick<Store, "auditHeads" | "verifyAudit"> = {
    auditHeads: async () => [],
    async verifyAudit(from, limit): Promise<AuditVerdict> {
      asked.push([from?.sequence, limit]);
      const page = asked.length;
      const problems = Array.from({ length: 700 }, (_, index) => problem(page * 1_000 + index));
      const next = page < 3 ? { writerId: "w", sequence: page * 1_000, mac: undefined } : undefined;
      return { events: 1_000, heads: [], problems, next };
    },
  };
  const report = await verifyAudit(pages);
  expect(asked).toEqual([0, 1_000, 2_000].map((from) => [from, 250]));
  expect(report).toMatchObject({ events: 3_000, problemCount: 2_100 });
  expect(report.problems).toHaveLength(1_000);
});

it("keeps ten thousand heads, counts them all, and gives those behind a writer", async () => {
  const writers = maxHeads + 500;
  const mac = randomBytes(32);
  const pages: Pick<Store, "auditHeads" | "verifyAudit"> = {
    auditHeads: async () => [],
    async verifyAudit(from): Promise<AuditVerdict> {
      const writer = from?.writerId === "" ? 1 : Number.parseInt(from!.writerId, 16);
      const next = writer < writers ? { writerId: hex(writer + 1), sequence: 0, mac: undefined } : undefined;
      return { events: 1, heads: [{ writerId: hex(writer), sequence: 1, mac }], problems: [], next };
    },
  };
  const first = await verifyAudit(pages);
  expect(first).toMatchObject({ events: writers, headsTotal: writers });
  expect(first.heads).toHaveLength(maxHeads);
  const last = first.heads.at(-1)!.writerId;
  expect(last).toBe(hex(maxHeads));
  const rest = await verifyAudit(pages, { headsAfter: last });
  expect(rest.heads.map(({ writerId }) => writerId)).toEqual(
    Array.from({ length: 500 }, (_, index) => hex(maxHeads + 1 + index)),
  );
  expect(rest).toMatchObject({ events: writers, headsTotal: writers });
});

/** A store in which `meanwhile` happens after each page of a verification, of which there must not be too many. */
function disturbed(store: Store, meanwhile: (page: number) => Promise<unknown>, mostPages: number) {
  let pages = 0;
  return {
    pages: () => pages,
    auditHeads: store.auditHeads,
    async verifyAudit(...asked: Parameters<Store["verifyAudit"]>) {
      if (pages === mostPages) throw new Error("the verification does not end");
      pages += 1;
      const page = await store.verifyAudit(...asked);
      await meanwhile(pages);
      return page;
    },
  };
}

const event = { actor: "ann", action: "sign_span", tenantId: "acme", purpose: "signing", keyId: "" } as const;
const append = (store: Store, count: number) =>
  store.appendAudit(
    Array.from({ length: count }, () => ({ ...event, at: clock(), outcome: "OK", requestId: "", count: 1 })),
  );

it("ends although a writer never stops appending, with the verdict of the heads at its start", async () => {
  const ended = await process(10);
  await whileRunning(async (store) => {
    await append(store, 2_500);
    const before = await store.auditHead();
    const growing = disturbed(store, () => append(store, 1_500), 40); // 40 pages have 10,000 rows; a verification that follows the writer reads them all
    const report = await verifyAudit(growing);
    expect(report).toMatchObject({ events: 2_510, headsTotal: 2, problems: [] });
    const shown = ({ writerId, sequence, mac }: { writerId: string; sequence: number; mac: Uint8Array }) =>
      [writerId, sequence, Buffer.from(mac).toString("hex")].join();
    expect(report.heads.map(shown).sort()).toEqual([shown(ended), shown(before!)].sort());
    expect((await store.auditHead())!.sequence).toBeGreaterThan(before!.sequence + 6_000);
  });
});

it("leaves writers that begin meanwhile for the next verification, and finds what is wrong beside them", async () => {
  const { writerId } = await process(10);
  await whileRunning(async (store) => {
    await append(store, 1_500);
    const joined = disturbed(store, () => process(2), 100);
    expect(await verifyAudit(joined)).toMatchObject({ events: 1_510, headsTotal: 2, problems: [] });
    const begun = joined.pages();
    expect(await verifyAudit(store)).toMatchObject({ events: 1_510 + 2 * begun, headsTotal: 2 + begun, problems: [] });
    await door.sql("update kms_audit set actor = 'eve' where writer_id = ?1 and sequence = 4", writerId);
    const spoiled = disturbed(store, () => process(1), 100);
    expect((await verifyAudit(spoiled)).problems).toEqual([{ writerId, sequence: 4, what: "row 4 was altered" }]);
  });
});

it("misses rows that are taken while it runs, of the heads at its start", async () => {
  const { writerId } = await process(3);
  await whileRunning(async (store) => {
    const rob = () => door.sql("delete from kms_audit where writer_id = ?1 and sequence = 3", writerId);
    const robbed = disturbed(store, rob, 9);
    expect((await verifyAudit(robbed)).problems).toEqual([
      { writerId, sequence: 3, what: "row 3 is missing: the tail was cut" },
    ]);
  });
});

it("takes little memory for many writers", async () => {
  const writers = 100_000;
  const mac = randomBytes(32);
  const store: Pick<Store, "auditHeads"> = {
    async auditHeads(after, limit) {
      const first = after === "" ? 0 : Number.parseInt(after, 16) + 1;
      const count = Math.min(limit, writers - first);
      return Array.from({ length: count }, (_, index) => ({
        writerId: hex(first + index),
        sequence: first + index + 1,
        mac,
      }));
    },
  };
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const live = () => {
    collect();
    return globalThis.process.memoryUsage().arrayBuffers;
  };
  const before = live();
  const heads = await headsAtStart(store);
  expect(live() - before).toBeLessThan(writers * 60 + 1_000_000);
  for (const n of [0, 1, 999, 1_000, 50_321, writers - 1]) {
    expect(heads.of(hex(n))).toEqual({ writerId: hex(n), sequence: n + 1, mac: new Uint8Array(mac) });
  }
  for (const unknown of [hex(writers), "f".repeat(32), "x"]) expect(heads.of(unknown).sequence).toBe(0);
});

it("stops between pages when nobody waits any more", async () => {
  const waiting = new AbortController();
  const pages: Pick<Store, "auditHeads" | "verifyAudit"> = {
    auditHeads: async () => [],
    async verifyAudit() {
      waiting.abort();
      return { events: 1, heads: [], problems: [], next: { writerId: "w", sequence: 1, mac: undefined } };
    },
  };
  expect(await thrownBy(() => verifyAudit(pages, waiting))).toBeKmsError("CANCELLED");
});
