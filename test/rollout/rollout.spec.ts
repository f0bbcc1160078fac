/**
 * Callers of Connect and JSON over rolling updates, by the numbers of the Helm chart: with the Service that they are to use no call fails. One that
 * publishes addresses of pods that are not ready loses calls.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it, onTestFinished } from "vitest";
import { beginProcess } from "../support/service-process.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { isShort } from "../support/short.ts";
import { startCalling } from "./callers.ts";
import { chartRules, type Rules } from "./chart-rules.ts";
import { startDeployment } from "./deployment.ts";

const scale = isShort ? 0.1 : 1;
const rules = chartRules(scale);
/** Of the chart's 5 s, which are there for this. */
const spreadMs = 2_000 * scale;
const preload = [join(import.meta.dirname, "..", "held-delay.ts")];

const postgres = await sharedPostgres();
afterAll(() => postgres.close());

/** Gives what became of the calls during so many rollouts. */
async function rolledOut(by: Rules, { rollouts, leastCalls }: { rollouts: number; leastCalls: number }) {
  const cwd = mkdtempSync(join(tmpdir(), "fluo-kms-rollout-"));
  onTestFinished(() => rmSync(cwd, { recursive: true }));
  const env = {
    FLUO_KMS_STORE: "postgres",
    FLUO_KMS_POSTGRES_URL: await postgres.createDatabase(),
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(cwd, "master.key"),
    FLUO_KMS_SHUTDOWN_DELAY: `${by.shutdownDelayMs}ms`,
    FLUO_HELD_MS: String(by.shutdownDelayMs),
  };
  const deployment = await startDeployment({ rules: by, spreadMs, start: () => beginProcess(env, { cwd, preload }) });
  const calling = startCalling(deployment.route);
  for (let n = 0; n < rollouts; n += 1) await deployment.rollOut();
  await calling.reached(leastCalls);
  await calling.end();
  await deployment.close();
  const { failures } = calling;
  const figures = { succeeded: calling.succeeded(), failed: failures.length, rollouts };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  return failures;
}

it("fails no call at the chart's Service for callers", async () => {
  const size = isShort ? { rollouts: 1, leastCalls: 1_000 } : { rollouts: 3, leastCalls: 20_000 };
  expect(await rolledOut(rules, size)).toEqual([]);
});

it("fails calls at a Service that publishes addresses of pods that are not ready", async () => {
  const failures = await rolledOut({ ...rules, publishesNotReady: true }, { rollouts: 1, leastCalls: 1_000 });
  expect(failures.length).toBeGreaterThan(0);
});
