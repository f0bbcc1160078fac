/**
 * The only way of a command to its standard output and standard error. What others wrote stays on its line and cannot steer the terminal:
 * controls, characters that turn the direction of text, and separators of lines and paragraphs are shown as `?`, in JSON as escapes.
 */
import { styleText } from "node:util";
import { escaped, steering } from "../encoding/steering.ts";
import { Failure } from "./command.ts";
import { bad, good, type Styled, styles } from "./styled.ts";

export function oneLine(text: string): string {
  return text.replace(steering, "?");
}

export function printLine(text: string | Styled): void {
  write(shown(text, process.stdout));
}

/** Prints several lines that the command line itself is the author of. */
export function printText(text: string): void {
  for (const line of text.split("\n")) printLine(line);
}

/** Rows as columns, two spaces apart, the last cell of a row ragged. */
export function printTable(rows: readonly (readonly (string | Styled)[])[], indent = ""): void {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.slice(0, -1).entries()) widths[i] = Math.max(widths[i] ?? 0, plain(cell).length);
  }
  for (const row of rows) {
    const cells = row.map((cell, i) => {
      const padding = i === row.length - 1 ? 0 : widths[i]! - plain(cell).length;
      return shown(cell, process.stdout) + " ".repeat(padding);
    });
    write(indent + cells.join("  ").trimEnd());
  }
}

function plain(text: string | Styled): string {
  return typeof text === "string" ? text : text.word + text.rest;
}

/** Styles go around what was made one line, so that nobody else's text brings any. */
function shown(text: string | Styled, stream: NodeJS.WriteStream): string {
  if (typeof text === "string") return oneLine(text);
  return styleText(styles[text.style], oneLine(text.word), { stream }) + oneLine(text.rest);
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
    return character < " " ? " " : escaped(character);
  });
}

/** Prints a line to standard error. */
export function printError(text: string | Styled): void {
  eraseOver();
  console.error(shown(text, process.stderr));
}

/** Lengths of the lines on terminals that the next text replaces. */
const overs = new WeakMap<NodeJS.WriteStream, number>();

/** Shows a line on the terminal of standard error, in the place of the one before. */
export function printOver(text: string): void {
  eraseOver();
  process.stderr.write(oneLine(text));
  overs.set(process.stderr, text.length);
}

/** Erases what {@link printOver} shows: its rows, which are several where the terminal has become narrower. */
export function eraseOver(): void {
  const { stderr } = process;
  const length = overs.get(stderr);
  if (length === undefined) return;
  const above = Math.floor((length - 1) / widthOf(stderr));
  stderr.write(`${above > 0 ? `\u001b[${above}A` : ""}\r\u001b[J`);
  overs.delete(stderr);
}

/** Columns of the terminal that standard output is; undefined if it is none. */
export function outputColumns(): number | undefined {
  return process.stdout.isTTY ? widthOf(process.stdout) : undefined;
}

/** The same of standard error. */
export function errorColumns(): number | undefined {
  return process.stderr.isTTY ? widthOf(process.stderr) : undefined;
}

/** A terminal may not know how wide it is, and say 0. */
function widthOf({ columns }: NodeJS.WriteStream): number {
  return columns > 0 ? columns : 80;
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
  eraseOver();
  if (stdout.listenerCount("error") === 0) stdout.on("error", () => {});
  return new Promise((resolve) => stdout.write(piece, () => resolve(stdout.errored ?? undefined)));
}

/** `no problems`, `1 problem`, `2 problems`. */
export function problemsCounted(count: number | bigint): string {
  return `${Number(count) === 0 ? "no" : count} problem${Number(count) === 1 ? "" : "s"}`;
}

/** The same, as what a whole command found. */
export function problemsSaid(count: number): Styled {
  return (count === 0 ? good : bad)(problemsCounted(count));
}

/** `2 encrypt, 7 decrypt`, or `none`. */
export function countsText(named: Record<string, number>): string {
  const texts = Object.entries(named).map(([name, count]) => `${count} ${name}`);
  return texts.length > 0 ? texts.join(", ") : "none";
}
