/** What a client noticed of the rotation, and the printed table. */
export interface RotationResult {
  perSecond: number;
  rotated: number;
  failed: number;
  /** By the service's Status: what it still finds due, and its calls to the provider by operation. */
  due: number;
  providerCalls: Record<string, number>;
  seconds: number;
  /** Milliseconds. */
  before: Quantiles;
  during: Quantiles;
  /** Of a second service at the same times, which rotates nothing: what the machine does to both. */
  quietBefore: Quantiles;
  quietDuring: Quantiles;
}

export interface Quantiles {
  calls: number;
  p50: number;
  p99: number;
}

const target = 2;

export function rotationTable(results: readonly RotationResult[], dueTenants: number): string[][] {
  const ms = (before: number, during: number) => `${before.toFixed(2)}, ${during.toFixed(2)} ms`;
  return [
    [
      "a second",
      "rotated",
      "failed",
      "left",
      "took",
      "p50 before, during",
      "p99 before, during",
      "p99 without",
      "ratio",
      "",
      "provider calls",
    ],
    ...results.map(({ before, during, quietBefore, quietDuring, ...result }) => {
      const ratio = during.p99 / quietDuring.p99;
      const isMet = ratio < target && result.rotated === dueTenants && result.failed === 0;
      return [
        `${result.perSecond}`,
        `${result.rotated}`,
        `${result.failed}`,
        `${result.due}`,
        `${result.seconds.toFixed(1)} s`,
        ms(before.p50, during.p50),
        ms(before.p99, during.p99),
        ms(quietBefore.p99, quietDuring.p99),
        `${ratio.toFixed(2)} x of ${target}`,
        isMet ? "met" : "missed",
        Object.entries(result.providerCalls)
          .map(([name, count]) => `${name} ${count}`)
          .join(", "),
      ];
    }),
  ];
}
