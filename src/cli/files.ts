/** Files that were named on the command line: their bytes, the typed members of their JSON, and the checkpoints that somebody kept in them. */
import { readFileSync } from "node:fs";
import { canonicalBase64 } from "../encoding/base64.ts";
import type { JsonError } from "../encoding/json.ts";
import { type Checkpoint, parseCheckpoint } from "../tlog/checkpoint.ts";
import { type Note, parseNote } from "../tlog/signed-note.ts";
import { Failure, UsageError } from "./command.ts";

/** Throws UsageError where it cannot be read. */
export function readFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** Says what is wrong with a text that readJson refuses, and what to do about it. */
export function wrongJson({ reason, member, message }: JsonError): string {
  if (reason !== "repeated") return `the JSON ${message}`;
  return `${member}: is there twice, and parsers differ on which counts; send it once`;
}

/** The object at `at`, which a Failure names if something else is there; the functions below do likewise. */
export function membersAt(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Failure(`${at} must be an object`);
  return value as Record<string, unknown>;
}

/** Empty where it is missing. */
export function listAt(value: unknown, at: string): readonly unknown[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new Failure(`${at} must be a list`);
  return value;
}

export function textAt(value: unknown, at: string): string {
  if (typeof value !== "string") throw new Failure(`${at} must be text`);
  return value;
}

export function base64At(value: unknown, at: string): Uint8Array {
  const bytes = canonicalBase64(textAt(value, at));
  if (bytes === undefined) throw new Failure(`${at} must be base64`);
  return bytes;
}

export function indexAt(value: unknown, at: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new Failure(`${at} must be a whole number, not below 0`);
  return value;
}

/** A checkpoint that somebody kept in a file; a file holds one or several, one behind the other. */
export interface KeptCheckpoint extends Checkpoint {
  file: string;
  /** Nothing of it was verified yet. */
  note: Note;
}

/**
 * A note without an empty line in its text, so that several may stand one behind the other. No note has more characters or signatures; without
 * bounds, lines by the million would take more than the stack.
 */
const noteForm = /(?:(?!— ).{1,131072}\n){1,131072}\n(?:— .{1,131072}\n){1,64}\s*/guy;

/** Throws UsageError where a file cannot be read, a Failure where it holds anything but checkpoints. */
export function readCheckpoints(files: readonly string[]): KeptCheckpoint[] {
  return files.flatMap((file) => checkpointsIn(readFile(file).toString("utf8"), file));
}

/** A file that passed through Windows may have its line ends, and a byte order mark; what was signed has neither. */
export function checkpointsIn(content: string, file: string): KeptCheckpoint[] {
  const text = content.replace(/^\ufeff/, "").replaceAll("\r\n", "\n");
  const notes = text.match(noteForm) ?? [];
  const kept = notes.map((note) => parseKept(note, file)).filter((each) => each !== undefined);
  if (kept.length > 0 && kept.length === notes.length && notes.join("") === text) return kept;
  throw new Failure(`${file} holds no checkpoint: it must be one signed note, or several, as GetCheckpoint gives them`);
}

function parseKept(text: string, file: string): KeptCheckpoint | undefined {
  const note = parseNote(`${text.trimEnd()}\n`);
  const checkpoint = note && parseCheckpoint(note.text);
  return checkpoint && { ...checkpoint, file, note: note! };
}
