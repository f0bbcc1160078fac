/**
 * The flags of Node that every command runs under, and `npm ci` compiles for. What those of memory are worth, bench/README.md says: what V8
 * compiled counts under the very same flags alone.
 */
export const flags = [
  "--max-semi-space-size=8",
  "--no-allocation-site-pretenuring",
  "--no-concurrent-array-buffer-sweeping",
  "--no-parallel-scavenge",
  "--heap-growing-percent=100",
  // SIGUSR1 would open a debugger, on a port at which every user of the machine could read the keys.
  "--disable-sigusr1",
];

/** Flags that this process lacks. */
export function missingFlags() {
  return flags.filter((flag) => !process.execArgv.includes(flag));
}
