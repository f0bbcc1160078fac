/** Returns the words of a text: a long list is easier to read so than with a line for each. */
export function wordsIn(text: string): string[] {
  return text.trim().split(/\s+/);
}
