/** Prints `N passed, N failed` (and `, N skipped`) as the last line of a run, for a reader that knows only that form. */
import type { Reporter, TestModule } from "vitest/node";

export default function summaryReporter(): Reporter {
  return {
    onTestRunEnd(modules, unhandledErrors) {
      const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
      for (const module of modules) count(module, counts);
      const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
      process.once("exit", () => {
        process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
      });
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
