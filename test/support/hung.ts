/** Time after which what a test awaits has hung, in milliseconds. */
export const hungMs = 120_000;

/** Time-outs of every suite, in milliseconds. All mean "hung", never "slow": the machine may do other work. */
export const hung = {
  testTimeout: 900_000,
  hookTimeout: 600_000,
  expect: { poll: { timeout: hungMs } },
};
