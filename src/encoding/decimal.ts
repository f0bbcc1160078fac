/** Sizes and indices of a log as its formats write them: ASCII decimal without leading zeros. */

/** Undefined for any other text, and above 2^53 - 1, which no log of ours reaches. */
export function parseIndex(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
