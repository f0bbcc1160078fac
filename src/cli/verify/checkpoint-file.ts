/** Checkpoints that somebody kept in files, one in each or several, one behind the other. */
import { type Checkpoint, parseCheckpoint } from "../../tlog/checkpoint.ts";
import { type Note, parseNote } from "../../tlog/signed-note.ts";
import { Failure } from "../command.ts";
import { readFile } from "../file.ts";

export interface KeptCheckpoint extends Checkpoint {
  file: string;
  /** Nothing of it was verified yet. */
  note: Note;
}

/** A note without an empty line in its text, so that several may stand one behind the other. */
const noteForm = /(?:(?!— ).+\n)+\n(?:— .+\n)+\s*/guy;

/** Throws UsageError where a file cannot be read, a Failure where it holds anything but checkpoints. */
export function readCheckpoints(files: readonly string[]): KeptCheckpoint[] {
  return files.flatMap((file) => checkpointsIn(readFile(file).toString("utf8"), file));
}

export function checkpointsIn(text: string, file: string): KeptCheckpoint[] {
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
