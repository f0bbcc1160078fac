/**
 * Prints `N passed, N failed` (and `, N skipped`) as the last line of a run, for a reader that knows only that form. With `TEST_RESULTS`, a
 * folder, it also writes there what a gate needs to run a failed file again as it ran: see results.ts. The short form of a suite says before
 * the last line how much it left out.
 */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Reporter, TestModule, Vitest } from "vitest/node";
import type { FileResult, RunResult } from "./results.ts";
import { isShort } from "./short-option.ts";

export default function summaryReporter(): Reporter {
  let vitest: Vitest;
  const order: TestModule[] = [];
  return {
    onInit(context) {
      vitest = context;
    },
    onTestModuleStart(module) {
      order.push(module);
    },
    onTestRunEnd(modules, unhandledErrors) {
      const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
      for (const module of modules) count(module, counts);
      const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
      process.once("exit", () => {
        if (isShort) process.stdout.write(`SHORT: ${counts.skipped} cases are left out\n`);
        process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
      });
      const folder = process.env.TEST_RESULTS;
      if (folder === undefined) return;
      const errors = unhandledErrors.map(({ stack, message }) => stack ?? message);
      const { configFile } = vitest.vite.config;
      const result: RunResult = {
        config: configFile || undefined,
        seed: vitest.config.sequence.seed,
        errors,
        files: order.map(resultOf),
      };
      writeFileSync(join(folder, `${randomBytes(8).toString("hex")}.json`), JSON.stringify(result));
    },
  };
}

function count(module: TestModule, counts: { passed: number; failed: number; skipped: number }): void {
  const before = counts.failed;
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    if (state !== "pending") counts[state] += 1;
  }
  // A file that does not load, or whose hook fails, fails without a failed test.
  if (module.state() === "failed" && counts.failed === before) counts.failed += 1;
}

function resultOf(module: TestModule): FileResult {
  const { worker, cpuMs } = module.meta();
  const failed = [...module.children.allTests("failed")].map((test) => {
    const errors = test.result().errors ?? [];
    return { name: test.fullName, why: errors.map(({ stack, message }) => stack ?? message).join("\n") };
  });
  if (module.state() === "failed" && failed.length === 0) {
    failed.push({
      name: "(the file itself)",
      why: module
        .errors()
        .map(({ message }) => message)
        .join("\n"),
    });
  }
  return {
    file: module.moduleId,
    project: module.project.name,
    worker,
    cpuMs,
    ms: Math.round(module.diagnostic().duration),
    failed,
  };
}
