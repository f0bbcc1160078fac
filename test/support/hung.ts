/** Times of every suite after which something is hung: none of them means "slow", as the machine may do other work. In milliseconds. */
export const hung = {
  testTimeout: 600_000,
  hookTimeout: 600_000,
  expect: { poll: { timeout: 120_000 } },
};
