import { expect, it } from "vitest";
import { mostNoted, nothingNoted } from "../../../src/store/head-notes.ts";
import type { NotedLog, Standing } from "../../../src/store/heads-store.ts";
import { findingOf } from "../../../src/store/heads/finding.ts";

const place = { file: "heads", required: false, lock: "heads.lock", database: undefined };
const at = new Date(0);

/** Whether logs that were not noted may have lost entries, if `count` were noted and the one at `behind` did. */
function mayHaveMore(count: number, behind: number): boolean {
  const logs: NotedLog[] = Array.from({ length: count }, (_, n) => ({
    tenantId: `tenant-${n}`,
    number: 1,
    size: 7,
    root: new Uint8Array(32),
  }));
  const content = { ...nothingNoted, logs, storeId: "00", generation: 1, since: at, writtenAt: at };
  const standing: Standing = {
    storeId: "00",
    writersCounted: 0,
    counted: undefined,
    headsSince: undefined,
    writers: [],
    keys: [],
    logs: [{ noted: { ...logs[behind]! }, size: 3 }],
  };
  const finding = findingOf(place, { sha256: "00", content }, standing);
  expect(finding?.logs.noted).toEqual(logs);
  return finding!.logs.mayHaveMore;
}

it("takes no more logs for lost than were noted, unless all that can be were and the first of them lost entries", () => {
  expect(mayHaveMore(mostNoted - 1, 0)).toBe(false);
  expect(mayHaveMore(mostNoted, mostNoted - 1)).toBe(false);
  expect(mayHaveMore(mostNoted, 100)).toBe(false);
  expect(mayHaveMore(mostNoted, 99)).toBe(true);
  expect(mayHaveMore(mostNoted, 0)).toBe(true);
});
