/** The ids of preflight's checks, which pipelines waive and read. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkIds, noticeId } from "../../../src/cli/preflight/check-ids.ts";
import { noticeCodes } from "../../../src/notices.ts";
import { namesIn, rowsOf } from "../../docs/tables.ts";
import { wordsIn } from "../../support/words.ts";

const ofNotices = Object.keys(noticeCodes).map(noticeId);

it("are words of small letters, each of one check or notice alone", () => {
  const all = [...checkIds, ...ofNotices];
  for (const id of all) expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
  expect(all.filter((id, at) => all.indexOf(id) !== at)).toEqual([]);
});

it("are those of the page, in the order of the lines", () => {
  const page = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "COMMAND_LINE.md"), "utf8");
  const rows = rowsOf(page, "check");
  expect(rows.flatMap(([check]) => namesIn(check!))).toEqual(checkIds);
  for (const [check, fails] of rows) expect(fails, check).not.toBe("");
});

/** An id may be added here, and none may go: someone's pipeline waives it. */
const kept = wordsIn(`
  service settings profile authentication policy tls certificate
  provider provider-key validate cache-hit key-rotation
  health readiness liveness rotation clocks
  store-identity store backup drill upgrade
  postgres-tls postgres-primary postgres-pooler postgres-connections
  audit heads-file integrity notice
  heads-copy balancer signals deletion-alarm
`);

it("stay", () => {
  expect(kept.filter((id) => !(checkIds as readonly string[]).includes(id))).toEqual([]);
});
