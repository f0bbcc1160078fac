/** Output for people: aligned lines. What others wrote stays on its line and cannot steer the terminal. */

/** Rows as columns, two spaces apart, the last one ragged. */
export function printTable(rows: readonly (readonly string[])[], indent = ""): void {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  for (const row of rows) {
    const cells = row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!)));
    printLine(indent + cells.join("  ").trimEnd());
  }
}

export function printLine(text: string): void {
  console.log(oneLine(text));
}

export function printJson(value: unknown): void {
  console.log(JSON.stringify(value, undefined, 2));
}

/** `no problems`, `1 problem`, `2 problems`. */
export function problemsCounted(count: number | bigint): string {
  return `${Number(count) === 0 ? "no" : count} problem${Number(count) === 1 ? "" : "s"}`;
}

/** `2 encrypt, 7 decrypt`, or `none`. */
export function countsText(named: Record<string, number>): string {
  const texts = Object.entries(named).map(([name, count]) => `${count} ${name}`);
  return texts.length > 0 ? texts.join(", ") : "none";
}

export function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}
