/**
 * Decides when the reading thread of this process may have the SQLite file open: only while the writer has it open, with the very log that the
 * writer has. The reader closes the file before the writer opens it again. The reason: SQLite shares what it knows of a log among the
 * connections of a process, and takes all of a log for durable that no connection has open.
 */
import type { MessagePort } from "node:worker_threads";

/** Parts of the gate that both threads have. */
export interface GateParts {
  /** Whether the reader may open the file, whether it has it open, and which file that is. */
  memory: SharedArrayBuffer;
  /** Port from the writer to the reader, which may be idle when it is to close the file. */
  port: MessagePort;
}

const [mayOpen, isOpen] = [0, 1];
/** Which files they are, as text. */
const nameBytes = 256;

export const gateMemory = () => new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT + nameBytes);

function viewsOf(memory: SharedArrayBuffer) {
  const state = new Int32Array(memory, 0, 2);
  return { state, name: new Uint8Array(memory, state.byteLength, nameBytes) };
}

/** The gate as the writing thread has it. */
export interface WriterGate {
  /** The writer has these files open, see filesOf. */
  admit(files: string): void;
  /** Has the reader close the file. Before the writer closes it. */
  shut(): void;
  /** Waits up to `withinMs` for the reader to close the file, and tells whether it has. */
  isEmpty(withinMs: number): boolean;
}

export function writerGate({ memory, port }: GateParts): WriterGate {
  const { state, name } = viewsOf(memory);
  return {
    admit(files) {
      if (Atomics.load(state, mayOpen) === 1) return;
      name.fill(0);
      name.set(Buffer.from(files));
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

/** The gate as the reading thread has it. */
export interface ReaderGate {
  /** Whether the writer has these files open. */
  isAdmitted(files: string): boolean;
  /** The reader is about to open the file. */
  enter(): void;
  /** The reader has closed it. */
  leave(): void;
}

/** `shut` is called when the reader is to close the file. */
export function readerGate({ memory, port }: GateParts, shut: () => void): ReaderGate {
  const { state, name } = viewsOf(memory);
  port.on("message", shut);
  return {
    isAdmitted: (files) =>
      Atomics.load(state, mayOpen) === 1 && Buffer.from(name).toString().replace(/\0+$/, "") === files,
    enter: () => void Atomics.store(state, isOpen, 1),
    leave() {
      Atomics.store(state, isOpen, 0);
      Atomics.notify(state, isOpen);
    },
  };
}

/** Marks the file closed, for a reader whose thread has ended with its connection. */
export function clearGate(memory: SharedArrayBuffer): void {
  const { state } = viewsOf(memory);
  Atomics.store(state, isOpen, 0);
  Atomics.notify(state, isOpen);
}
