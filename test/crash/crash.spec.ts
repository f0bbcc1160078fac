/** An acknowledged ciphertext opens and an acknowledged signature verifies, whatever the service, or its database, dies at. */
import { randomInt } from "node:crypto";
import { describe, expect, it } from "vitest";
import { postgresAvailable } from "../support/postgres-cluster.ts";
import { isShort } from "../support/short.ts";
import type { Target } from "./plan.ts";
import { summaryLines } from "./print.ts";
import { crashRun } from "./run.ts";

const seed = Number(process.env.FLUO_CRASH_SEED ?? randomInt(2 ** 31));
console.log(`FLUO_CRASH_SEED=${seed}`);

/** On a machine that has none it is skipped, but never in CI. */
const isSkipped = !postgresAvailable() && process.env.CI === undefined;

async function expectNothingLost(target: Target, kills: number): Promise<void> {
  // Four kills at the most: at one step, which must be reached, and at random times.
  const short = { kills: Math.ceil(kills / 10), first: target === "database" ? [] : (["key.inserted"] as const) };
  const summary = await crashRun({ target, kills, seed, ...(isShort && short) });
  console.log([`${target}, seed ${seed}`, ...summaryLines(summary)].join("\n"));
  expect(summary.problems, `FLUO_CRASH_SEED=${seed}`).toEqual([]);
  expect(summary.missed, "steps that were never reached").toEqual([]);
}

describe("what was acknowledged outlives", () => {
  it("the service's death at each step and at random times, on SQLite", () => expectNothingLost("sqlite", 40));

  it.skipIf(isShort || isSkipped)("the service's death at each step and at random times, on PostgreSQL", () =>
    expectNothingLost("postgres", 26),
  );

  it.skipIf(isSkipped)("the database's death, and the service recovers by itself", () =>
    expectNothingLost("database", 10),
  );
});
