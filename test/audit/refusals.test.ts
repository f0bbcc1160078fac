/** Which refusals keep their names, how the rest is counted, and how little a stranger can make the trail remember. Timers are the test's. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { manyCallers, maxActors, maxNamesOfRow, moreNames } from "../../src/audit/aggregated-refusals.ts";
import { auditRefusals, maxNames, maxRows, minuteMs } from "../../src/audit/refusals.ts";
import type { AuditAction, AuditEvent } from "../../src/store/audit-store.ts";
import { wallTime } from "../support/wall-time.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const start = Date.parse("2026-01-01T00:00:00.000Z");
const key = (n: number) => n.toString(16).padStart(32, "0");

function setUp() {
  let [nowMs, due] = [start, 0];
  const clock = () => new Date(nowMs);
  const onDue = () => {
    due += 1;
  };
  const refusals = auditRefusals({ time: wallTime(clock), onDue });
  return {
    ...refusals,
    take: () => refusals.take(clock()),
    due: () => due,
    /** Only the wall clock; `minute` is of the monotonic one. */
    setClock(ms: number) {
      nowMs = ms;
    },
    minute: () => vi.advanceTimersByTime(minuteMs),
    /** `count` refusals, each with another tenant and key. */
    flood(count: number, { actor = "eve", action = "encrypt_pii", outcome = "PERMISSION_DENIED", from = 0 } = {}) {
      for (let n = from; n < from + count; n += 1) {
        refusals.refused(actor, action as AuditAction, `tenant-${n}`, key(n), outcome);
      }
    },
  };
}

const isNameless = ({ names }: AuditEvent) => names !== undefined;
const sum = (rows: readonly AuditEvent[]) => rows.reduce((total, { count }) => total + count, 0);

it("counts refusals together that are alike, and says when there is one to be written", () => {
  const { refused, take, due } = setUp();
  refused("bob", "sign_span", "acme", key(1), "KEY_UNUSABLE", 1, "web");
  refused("bob", "sign_span", "acme", key(1), "KEY_UNUSABLE", 2, "web");
  expect(due()).toBe(1);
  refused("bob", "sign_span", "acme", key(1), "KEY_UNUSABLE", 1, "ops");
  refused("bob", "sign_span", "acme", key(1), "DATA_LOSS", 1, "web");
  refused("ann", "sign_span", "acme", key(1), "DATA_LOSS");
  expect(due()).toBe(4);
  expect(take().map(({ actor, keyId, outcome, rule, count }) => [actor, keyId, outcome, rule, count])).toEqual([
    ["bob", key(1), "KEY_UNUSABLE", "web", 3],
    ["bob", key(1), "KEY_UNUSABLE", "ops", 1],
    ["bob", key(1), "DATA_LOSS", "web", 1],
    ["ann", key(1), "DATA_LOSS", undefined, 1],
  ]);
  expect(take()).toEqual([]);
});

describe("of a flood of made-up names", () => {
  it("the first have rows, and the rest is one row with its number, its names, and when it began and ended", () => {
    const { flood, take, setClock } = setUp();
    flood(maxNames);
    setClock(start + 1_000);
    flood(500, { from: maxNames });
    setClock(start + 9_000);
    flood(100, { from: maxNames });
    const rows = take();
    expect(rows.slice(0, maxNames).map(({ tenantId, keyId, count }) => [tenantId, keyId, count])).toEqual(
      Array.from({ length: maxNames }, (_, n) => [`tenant-${n}`, key(n), 1]),
    );
    const times = { at: new Date(start + 9_000), firstAt: new Date(start + 1_000) };
    const nobody = { tenantId: "", purpose: undefined, keyId: "", requestId: "" };
    const what = { actor: "eve", action: "encrypt_pii", outcome: "PERMISSION_DENIED" };
    expect(rows.slice(maxNames)).toEqual([{ ...times, ...nobody, ...what, count: 600, names: 500 }]);
  });

  it("a name that had its row keeps it", () => {
    const { flood, take } = setUp();
    flood(2 * maxNames);
    take();
    flood(2 * maxNames);
    expect(take().map(({ tenantId, count }) => [tenantId, count])).toEqual(
      Array.from({ length: maxNames }, (_, n) => [`tenant-${n}`, 1]),
    );
  });

  it("no name of another caller, action or code is lost", () => {
    const { flood, refused, take } = setUp();
    flood(60_000);
    flood(60_000, { outcome: "CIPHERTEXT_REJECTED", action: "decrypt_pii" });
    refused("ann", "encrypt_pii", "acme", key(1), "PERMISSION_DENIED");
    refused("eve", "decrypt_pii", "acme", key(1), "PERMISSION_DENIED");
    refused("eve", "encrypt_pii", "acme", key(1), "CIPHERTEXT_REJECTED");
    const rows = take();
    expect(rows).toHaveLength(2 * (maxNames + 1) + 3);
    const named = rows.filter(({ tenantId }) => tenantId === "acme");
    expect(named.map(({ actor, action, outcome }) => [actor, action, outcome])).toEqual([
      ["eve", "decrypt_pii", "PERMISSION_DENIED"],
      ["eve", "encrypt_pii", "CIPHERTEXT_REJECTED"],
      ["ann", "encrypt_pii", "PERMISSION_DENIED"],
    ]);
    expect(sum(rows)).toBe(120_003);
  });

  it("names are counted up to a bound, and the row says that there were more", () => {
    const { flood, take, endMinute } = setUp();
    flood(maxNames + maxNamesOfRow);
    expect(take().at(-1)).toMatchObject({ names: maxNamesOfRow, count: maxNamesOfRow });
    flood(maxNamesOfRow + 1, { from: maxNames });
    endMinute();
    expect(take().at(-1)).toMatchObject({ names: maxNamesOfRow, count: maxNamesOfRow + 1, detail: moreNames });
  });

  it("the tenant is in the row of the rest if all named the same", () => {
    const { refused, take, giveBack, endMinute } = setUp();
    const rest = () => take().filter(isNameless);
    const forge = (n: number, tenantId: string) =>
      refused("eve", "decrypt_pii", tenantId, key(n), "CIPHERTEXT_REJECTED");
    for (let n = 0; n < 2 * maxNames; n += 1) forge(n, "acme");
    const [row] = rest();
    expect(row).toMatchObject({ tenantId: "acme", keyId: "", count: maxNames, names: maxNames });
    giveBack(row!);
    for (let n = 0; n < 3; n += 1) forge(100 + n, "acme");
    expect(rest()).toMatchObject([{ tenantId: "acme", count: maxNames + 3 }]);
    giveBack(row!);
    for (const tenantId of ["globex", "acme"]) forge(200, tenantId);
    expect(rest()).toMatchObject([{ tenantId: "", count: maxNames + 2 }]);
    for (const tenantId of ["globex", "acme"]) forge(200, tenantId);
    endMinute();
    expect(rest()).toMatchObject([{ tenantId: "", count: 2, names: 2 }]);
  });

  it("no rule is remembered, and what has no name counts as none", () => {
    const { flood, refused, take } = setUp();
    flood(maxNames, { outcome: "INVALID_ARGUMENT" });
    for (const rule of ["web", "ops"]) refused("eve", "encrypt_pii", `of-${rule}`, "", "INVALID_ARGUMENT", 1, rule);
    refused("eve", "encrypt_pii", "", "", "INVALID_ARGUMENT");
    const rest = take().filter(isNameless);
    expect(rest.map(({ tenantId, rule, count, names }) => [tenantId, rule, count, names])).toEqual([
      ["", undefined, 3, 2],
    ]);
  });
});

describe("a minute", () => {
  it("has a row of the rest when it begins, and one more when it ends", () => {
    const { flood, take, due, minute } = setUp();
    flood(maxNames);
    const named = due();
    flood(10, { from: 100 });
    expect(due()).toBeGreaterThan(named);
    expect(take().filter(isNameless)).toMatchObject([{ count: 10 }]);
    const told = due();
    flood(20, { from: 100 });
    expect(due()).toBe(told);
    expect(take()).toEqual([]);
    minute();
    expect(due()).toBe(told + 1);
    expect(take()).toMatchObject([{ count: 20, names: 20 }]);
    expect(take()).toEqual([]);
  });

  it("has names of its own, and a row each minute while the flood goes on", () => {
    const { flood, take, minute } = setUp();
    for (let n = 0; n < 5; n += 1) {
      flood(100, { from: 100 * n });
      const atOnce = take();
      expect(atOnce.filter((row) => !isNameless(row)).map(({ tenantId }) => tenantId)).toEqual(
        Array.from({ length: maxNames }, (_, at) => `tenant-${100 * n + at}`),
      );
      expect(atOnce).toHaveLength(n === 0 ? maxNames + 1 : maxNames);
      flood(84, { from: 100 * n + maxNames });
      expect(take()).toEqual([]);
      minute();
      expect(take()).toMatchObject([{ count: n === 0 ? 84 : 168, names: 84 }]);
    }
  });

  it("without a refusal has the next row of the rest written at once again", () => {
    const { flood, take, minute } = setUp();
    flood(100);
    take();
    minute();
    minute();
    flood(100);
    expect(take().filter(isNameless)).toMatchObject([{ count: 100 - maxNames }]);
  });

  it("ends whatever the wall clock says", () => {
    const { flood, take, minute, setClock } = setUp();
    setClock(start + 3_600_000);
    flood(100);
    setClock(start);
    flood(1, { from: 1_000 });
    expect(take().at(-1)).toMatchObject({ firstAt: new Date(start + 3_600_000), at: new Date(start) });
    minute();
    flood(1, { from: 2_000 });
    expect(take()).toMatchObject([{ tenantId: "tenant-2000" }]);
  });
});

describe("a row with its names has", () => {
  const changes = ["rotate", "disable", "enable", "mark_compromised", "schedule_destruction", "cancel_destruction"];
  const administrative = [...changes, "rewrap"];
  const uses = ["generate_data_key", "decrypt_data_key", "encrypt_pii", "decrypt_pii", "re_encrypt_pii", "sign_span"];
  const looks = ["list_keys", "list_audit_events", "verify_span", "get_public_keys", "read_log"];
  const [all, everybodys] = [
    [...administrative, ...uses],
    [...uses, ...looks],
  ];
  const kinds: [outcome: string, actions: string[], hasNames: boolean][] = [
    ["PERMISSION_DENIED", administrative, true],
    ["INVALID_ARGUMENT", administrative, true],
    ["KEY_UNUSABLE", all, true],
    ["DATA_LOSS", all, true],
    ["PROVIDER_DENIED", uses, true],
    ["NOT_FOUND", all, false],
    ["CIPHERTEXT_REJECTED", all, false],
    ["PERMISSION_DENIED", everybodys, false],
    ["INVALID_ARGUMENT", everybodys, false],
  ];

  it.each(kinds.flatMap(([outcome, actions, hasNames]) => actions.map((each) => [each, outcome, hasNames] as const)))(
    "each %s that is refused with %s: %s",
    (action, outcome, hasNames) => {
      const { flood, take } = setUp();
      flood(2_000, { action, outcome });
      const rows = take();
      expect(rows).toHaveLength(hasNames ? 2_000 : maxNames + 1);
      expect(rows.some(isNameless)).toBe(!hasNames);
    },
  );
});

describe("callers past the first", () => {
  it("share a row that says so, and the others keep theirs", () => {
    const { refused, take, minute } = setUp();
    for (let n = 0; n < maxActors + 7; n += 1) refused(`jwt:sso:${n}`, "encrypt_pii", "acme", "", "PERMISSION_DENIED");
    refused("jwt:sso:0", "encrypt_pii", "globex", "", "PERMISSION_DENIED");
    const rows = take();
    expect(rows).toHaveLength(maxActors + 2);
    expect(rows.at(-1)).toMatchObject({ actor: "", tenantId: "acme", count: 7, names: 1, detail: manyCallers });
    minute();
    refused("jwt:sso:1005", "encrypt_pii", "acme", "", "PERMISSION_DENIED");
    expect(take()).toMatchObject([{ actor: "jwt:sso:1005", tenantId: "acme" }]);
  });

  it("share the row of the rest, too, if each of the first has one", () => {
    const { flood, take, minute } = setUp();
    const floodAll = () => {
      for (let n = 0; n < maxActors; n += 1) flood(maxNames + 1, { actor: `jwt:sso:${n}` });
      return take();
    };
    expect(floodAll()).toHaveLength(maxActors * (maxNames + 1));
    expect(floodAll()).toHaveLength(maxActors * maxNames);
    minute();
    flood(maxNames + 1, { actor: "late" });
    const rows = take().filter(isNameless);
    expect(rows).toHaveLength(maxActors + 1);
    expect(rows.at(-1)).toMatchObject({ actor: "", count: 1, detail: manyCallers });
  });

  it("still have rows with names of what always has them", () => {
    const { refused, take } = setUp();
    for (let n = 0; n < 2 * maxActors; n += 1) refused(`jwt:sso:${n}`, "disable", "acme", key(1), "PERMISSION_DENIED");
    expect(take()).toHaveLength(2 * maxActors);
  });
});

describe("while nothing can be written", () => {
  it("a caller has so many rows with names, and loses no refusal beyond", () => {
    const { flood, refused, take } = setUp();
    flood(maxRows + 50, { action: "disable" });
    refused("ann", "disable", "acme", key(1), "PERMISSION_DENIED");
    const rows = take();
    expect(rows).toHaveLength(maxRows + 2);
    expect(rows.at(-2)).toMatchObject({ actor: "ann", tenantId: "acme" });
    expect(rows.at(-1)).toMatchObject({ actor: "eve", action: "disable", tenantId: "", count: 50, names: 50 });
  });

  it("all callers together have so many rows, and the rest is counted", () => {
    const { flood, take } = setUp();
    for (let n = 0; n < 12; n += 1) flood(maxRows, { actor: `eve-${n}`, action: "disable" });
    const rows = take();
    expect(rows).toHaveLength(100_000 + 2);
    expect(sum(rows)).toBe(12 * maxRows);
  });

  it("rows that are given back keep their names, and use up no name of the minute", () => {
    const { flood, giveBack, take, minute } = setUp();
    flood(maxNames);
    const failed = take();
    minute();
    for (const row of failed) giveBack(row);
    flood(maxNames, { from: 100 });
    const rows = take();
    expect(rows).toHaveLength(2 * maxNames);
    expect(rows.some(isNameless)).toBe(false);
  });

  it("a rest that is given back is added to what came since, and its names are a least number", () => {
    const { flood, giveBack, take, setClock, due } = setUp();
    flood(maxNames + 30);
    const rest = take().filter(isNameless);
    setClock(start + 5_000);
    flood(10, { from: 20 });
    const before = due();
    for (const row of rest) giveBack(row);
    expect(due()).toBeGreaterThan(before);
    expect(take()).toEqual([
      { ...rest[0]!, at: new Date(start + 5_000), firstAt: new Date(start), count: 40, names: 30, detail: moreNames },
    ]);
  });

  it("a rest that is given back when nothing came since is as it was", () => {
    const { flood, giveBack, take, minute } = setUp();
    flood(maxNames + maxNamesOfRow + 5);
    const rest = take().filter(isNameless);
    expect(rest).toMatchObject([{ detail: moreNames }]);
    for (const row of rest) giveBack(row);
    minute();
    expect(take()).toEqual(rest);
    for (const row of rest) giveBack({ ...row, actor: "", detail: manyCallers });
    expect(take()).toMatchObject([{ actor: "", detail: manyCallers, count: rest[0]!.count }]);
  });
});
