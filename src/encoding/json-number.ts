/** Numbers in JSON that somebody else wrote, read as what they mean: a span must not be signed, or verified, with another number. */

const form = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/;

/** The number of digits of 2^64. */
const maxDigits = 20;

/**
 * The whole number that a text means in RFC 8259's grammar, such as `1.76e18`, computed on its digits. Undefined for any other number or text, and
 * for more than 20 digits.
 */
export function wholeNumber(text: string): bigint | undefined {
  const [, sign, whole, fraction = "", exponent = "0"] = form.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const digits = whole + fraction;
  let [start, end] = [0, digits.length];
  while (end > 0 && digits[end - 1] === "0") end -= 1;
  while (start < end && digits[start] === "0") start += 1;
  if (start === end) return 0n;
  const zeros = digits.length - end - fraction.length + Number(exponent);
  if (zeros < 0 || end - start + zeros > maxDigits) return undefined;
  return BigInt(sign + digits.slice(start, end) + "0".repeat(zeros));
}

/** The nearest double to the number that a text is in RFC 8259's grammar; undefined for any other text, and for what is past all doubles. */
export function nearestDouble(text: string): number | undefined {
  const double = form.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(double) ? double : undefined;
}

/** A number of a JSON text that a double may not hold as it is written. */
export class SpelledNumber {
  readonly spelling: string;

  constructor(spelling: string) {
    this.spelling = spelling;
  }
}

/** Reads a number for {@link readJson}: as a plain one where that is exactly what is written. */
export function spelledNumber(spelling: string): number | SpelledNumber {
  const number = Number(spelling);
  return Number.isSafeInteger(number) && /^-?\d+$/.test(spelling) ? number : new SpelledNumber(spelling);
}
