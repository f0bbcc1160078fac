/**
 * A thread of the pool. It runs one job at a time, in the order in which they come, and holds copies of the keys that it signs with, in
 * guarded memory of its own.
 */
import { parentPort } from "node:worker_threads";
import { chooseEd25519 } from "../../crypto/ed25519.ts";
import type { SigningKey } from "../../crypto/ed25519-contract.ts";
import { KmsError } from "../../errors.ts";
import { enterBatch } from "../enter.ts";
import { growTree } from "../../tlog/merkle.ts";
import { proveBatch } from "../prove.ts";
import { signBatch } from "../sign-individually.ts";
import { maxAnswerBytes } from "../results.ts";
import { ownsMemory, release } from "../../runtime/detach.ts";
import { type Answer, type Call, type Jobs, type KeyHandle, maxKeys, type PlainError } from "./jobs.ts";

const port = parentPort!;
const ed25519 = chooseEd25519(maxKeys);
const keys = new Map<KeyHandle, SigningKey>();
/** Where answers are written, one after the other: made anew for each, this would cost more than some batches. */
const out = Buffer.allocUnsafeSlow(maxAnswerBytes);

const jobs: Jobs = {
  importKey(handle, shared) {
    const seed = new Uint8Array(shared);
    try {
      keys.set(handle, ed25519.signingKey(seed));
    } finally {
      seed.fill(0);
    }
  },

  forgetKey,

  sign: (batch, by) => released(batch, signBatch(batch, { ...by, key: held(by.key) }, out)),

  enter: (batch, about) => released(batch, enterBatch(batch, about)),

  grow(before, leaves) {
    const { after, root, nodes } = growTree(before, Buffer.concat(leaves));
    // What goes away with the answer must be nobody's: the empty tree's root is everybody's.
    const own = { frontier: new Uint8Array(after.frontier), root: new Uint8Array(root) };
    return { before, after: { size: after.size, frontier: own.frontier }, root: own.root, nodes };
  },

  prove: (batch, place, fromSpan) => proveBatch(batch, place, fromSpan, out),

  keyMemory: () => ({ keys: keys.size, locked: ed25519.memoryProtection().locked }),

  end() {
    for (const handle of [...keys.keys()]) forgetKey(handle);
  },
};

function forgetKey(handle: KeyHandle): void {
  keys.get(handle)?.destroy();
  keys.delete(handle);
}

/** The result of a batch, whose bytes are of no more use. */
function released<Result>(batch: Uint8Array, result: Result): Result {
  release(batch);
  return result;
}

function held(handle: KeyHandle): SigningKey {
  const key = keys.get(handle);
  if (key === undefined) throw new KmsError("INTERNAL", "this thread does not hold the key");
  return key;
}

port.on("message", ({ id, does, args }: Call) => {
  try {
    const value = (jobs[does] as (...args: unknown[]) => unknown)(...args);
    port.postMessage({ id, value } satisfies Answer, buffersOf(value));
  } catch (error) {
    port.postMessage({ id, error: toPlain(error) } satisfies Answer);
  }
  if (does === "end") port.close();
});

/** The memory of an answer, which is given away where it is one's own. Shared memory is not moved. */
function buffersOf(value: unknown): ArrayBuffer[] {
  if (typeof value !== "object" || value === null) return [];
  const members = "messages" in value ? (value.messages as Uint8Array[]) : Object.values(value);
  return members
    .filter((member) => member instanceof Uint8Array)
    .filter(ownsMemory)
    .map(({ buffer }) => buffer);
}

function toPlain(error: unknown): PlainError {
  if (error instanceof KmsError) return { code: error.code, message: error.message, violations: error.violations };
  return {
    code: "INTERNAL",
    message: String((error as Error)?.stack ?? error),
    violations: [],
  };
}
