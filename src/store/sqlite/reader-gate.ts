/**
 * When the reading thread of this process may have the file open. SQLite shares what it knows of a log among the connections of a process, and
 * reads a log that it finds without an owner as if all of it were durable. So the reader opens the file only while the writer has it open, that
 * file and no other that has got its name, and is gone before the writer opens it anew.
 */
import type { Stats } from "node:fs";
import type { MessagePort } from "node:worker_threads";

/** By which a file is told from every other that is there. */
export type FileNumber = Pick<Stats, "dev" | "ino">;

/** What both threads have of the gate. */
export interface GateParts {
  /** Whether the reader may open the file, whether it has it open, and which file that is. */
  memory: SharedArrayBuffer;
  /** From the writer to the reader, which may be idle when it is to close the file. */
  port: MessagePort;
}

const [mayOpen, isOpen] = [0, 1];
const [dev, ino] = [0, 1];

export const gateMemory = () =>
  new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT + 2 * Float64Array.BYTES_PER_ELEMENT);

function viewsOf(memory: SharedArrayBuffer) {
  const state = new Int32Array(memory, 0, 2);
  return { state, numbers: new Float64Array(memory, state.byteLength, 2) };
}

/** Of the thread that writes. */
export interface WriterGate {
  /** The writer has this file open. */
  admit(file: FileNumber): void;
  /** Has the reader close the file. Before the writer closes it. */
  shut(): void;
  /** Waits until the reader has closed the file, so many milliseconds at most. Whether it has. */
  isEmpty(withinMs: number): boolean;
}

export function writerGate({ memory, port }: GateParts): WriterGate {
  const { state, numbers } = viewsOf(memory);
  return {
    admit(file) {
      [numbers[dev], numbers[ino]] = [file.dev, file.ino];
      Atomics.store(state, mayOpen, 1);
    },
    shut() {
      Atomics.store(state, mayOpen, 0);
      port.postMessage("shut");
    },
    isEmpty(withinMs) {
      Atomics.wait(state, isOpen, 1, withinMs);
      return Atomics.load(state, isOpen) === 0;
    },
  };
}

/** Of the thread that reads. */
export interface ReaderGate {
  /** Whether the writer has the file open that is meant. */
  isAdmitted(file: FileNumber | undefined): boolean;
  /** The reader is about to open the file. */
  enter(): void;
  /** The reader has closed it. */
  leave(): void;
}

/** `shut` is called when the reader is to close the file. */
export function readerGate({ memory, port }: GateParts, shut: () => void): ReaderGate {
  const { state, numbers } = viewsOf(memory);
  port.on("message", shut);
  return {
    isAdmitted: (file) =>
      Atomics.load(state, mayOpen) === 1 && file?.dev === numbers[dev] && file?.ino === numbers[ino],
    enter: () => void Atomics.store(state, isOpen, 1),
    leave() {
      Atomics.store(state, isOpen, 0);
      Atomics.notify(state, isOpen);
    },
  };
}

/** For a reader whose thread has ended, with its connection. */
export function clearGate(memory: SharedArrayBuffer): void {
  const { state } = viewsOf(memory);
  Atomics.store(state, isOpen, 0);
  Atomics.notify(state, isOpen);
}
