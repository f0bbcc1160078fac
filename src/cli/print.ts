/**
 * The only way of a command to its standard output and standard error. What others wrote stays on its line and cannot steer the terminal:
 * controls, characters that turn the direction of text, and separators of lines and paragraphs are shown as `?`, in JSON as escapes.
 */
import { Failure } from "./command.ts";

/** Characters that steer: C0, DEL, C1, all that Unicode calls Bidi_Control, LINE SEPARATOR and PARAGRAPH SEPARATOR. */
const steering = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

export function oneLine(text: string): string {
  return text.replace(steering, "?");
}

export function printLine(text: string): void {
  write(oneLine(text));
}

/** Prints several lines that the command line itself is the author of. */
export function printText(text: string): void {
  for (const line of text.split("\n")) printLine(line);
}

/** Rows as columns, two spaces apart, the last cell of a row ragged. */
export function printTable(rows: readonly (readonly string[])[], indent = ""): void {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.slice(0, -1).entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  for (const row of rows) {
    const cells = row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!)));
    printLine(indent + cells.join("  ").trimEnd());
  }
}

export function printJson(value: unknown): void {
  printJsonText(JSON.stringify(value, undefined, 2));
}

/** Prints JSON as it was written, with escapes for characters that steer: within strings alone JSON has any but white space. */
export function printJsonText(json: string): void {
  write(escapedJson(json));
}

export function escapedJson(json: string): string {
  return json.replace(steering, (character) => {
    if (character === "\n") return character;
    return character < " " ? " " : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Prints a line to standard error. */
export function printError(text: string): void {
  console.error(oneLine(text));
}

/** Writes over the line that a terminal shows on standard error. */
export function printOver(text: string): void {
  process.stderr.write(`\r\u001b[K${oneLine(text)}`);
}

/** Prints an export as it is, but for a terminal its JSON with escapes. Throws a Failure if the reader leaves before the end. */
export async function printExport(pieces: Iterable<Uint8Array | string>): Promise<void> {
  for (const piece of pieces) {
    const error = await written(typeof piece === "string" && process.stdout.isTTY ? escapedJson(piece) : piece);
    if (error !== undefined) throw unwritable(error);
  }
}

/** Waits until all is written, and returns why something could not be. A reader that left, such as `head`, has what it wants. */
export async function lostOutput(): Promise<Failure | undefined> {
  const error = await written("");
  return error === undefined || error.code === "EPIPE" ? undefined : unwritable(error);
}

function unwritable({ code }: NodeJS.ErrnoException): Failure {
  return new Failure(`standard output cannot be written (${code})`);
}

function write(text: string): void {
  void written(`${text}\n`);
}

/** Resolves when the piece was written, with the first error of the stream if there was one. */
function written(piece: Uint8Array | string): Promise<NodeJS.ErrnoException | undefined> {
  const { stdout } = process;
  if (stdout.listenerCount("error") === 0) stdout.on("error", () => {});
  return new Promise((resolve) => stdout.write(piece, () => resolve(stdout.errored ?? undefined)));
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
