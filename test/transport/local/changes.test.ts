/** Changes over the local socket while the store takes no rows. */
import { pino } from "pino";
import { expect, it } from "vitest";
import { auditCounters } from "../../../src/audit/counters.ts";
import { KmsError } from "../../../src/errors.ts";
import { manualTime } from "../../../src/runtime/manual-time.ts";
import { memoryStore } from "../../../src/store/sqlite/memory.ts";
import { localChanges } from "../../../src/transport/local/changes.ts";

it("are made, are in the log at once, and keep their row until it can be written", async () => {
  const time = manualTime();
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line) => void lines.push(line) });
  const audit = auditCounters(() => {}, time);
  const away = { appendAudit: () => Promise.reject(new KmsError("STORE_UNAVAILABLE", "away")) };
  const changes = localChanges({ log, store: away, audit, time });
  await changes.setLogLevel("debug");
  expect(changes.logLevel()).toEqual({ level: "debug", configured: "warn" });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { actor: "local", action: "set_log_level", detail: "level=debug" },
  ]);
  expect(audit.take(time.now())).toMatchObject([{ actor: "local", action: "set_log_level", outcome: "OK", count: 1 }]);
});

it("of the level are in the log if the former or the new one shows warnings", async () => {
  const time = manualTime();
  const lines: string[] = [];
  const log = pino({ level: "silent" }, { write: (line) => void lines.push(line) });
  const store = memoryStore(time);
  const changes = localChanges({ log, time, store, audit: auditCounters(() => {}, time) });
  const set = ["trace", "error", "silent", "fatal", "warn"];
  for (const level of set) await changes.setLogLevel(level);
  expect(changes.logLevel()).toEqual({ level: "warn", configured: "silent" });
  const details = lines.map((line) => JSON.parse(line).detail);
  expect(details).toEqual(["level=trace", "level=error", "level=warn"]);
  const rows = await store.auditEvents({ limit: 10 });
  expect(rows.map(({ detail }) => detail).sort()).toEqual(set.map((level) => `level=${level}`).sort());
});
