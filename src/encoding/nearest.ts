/** The name that was meant: the one of least edit distance, if it is near enough to be a slip of the fingers. */

export function nearestName(wrong: string, names: readonly string[]): string | undefined {
  const limit = Math.max(2, Math.floor(wrong.length / 4));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const name of names) {
    const distance = editDistance(wrong.toLowerCase(), name, bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return bestDistance < wrong.length ? best : undefined;
}

/** "; did you mean …?", or nothing. */
export function suggestion(wrong: string, names: readonly string[]): string {
  const name = nearestName(wrong, names);
  return name === undefined ? "" : `; did you mean ${name}?`;
}

/** Levenshtein's distance, row by row. Lengths that differ by `enough` are not worth a row: keys are written by others. */
function editDistance(a: string, b: string, enough: number): number {
  if (Math.abs(a.length - b.length) >= enough) return enough;
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}
