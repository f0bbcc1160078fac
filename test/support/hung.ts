/** Time-outs of every suite, in milliseconds. All mean "hung", never "slow": the machine may do other work. */
export const hung = {
  testTimeout: 600_000,
  hookTimeout: 600_000,
  expect: { poll: { timeout: 120_000 } },
};
