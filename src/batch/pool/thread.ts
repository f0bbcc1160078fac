/** One thread of the pool, seen from the main one: each job is a message and its answer. It holds copies of the keys that it used last. */
import type { Worker } from "node:worker_threads";
import { inFlight } from "../../runtime/in-flight.ts";
import { KmsError } from "../../errors.ts";
import { ForgettingMap } from "../../runtime/compact-map.ts";
import { seedBytes } from "../../crypto/ed25519-contract.ts";
import { type Answer, type Call, type Jobs, type KeyHandle, maxKeys, type PlainError, type PoolKey } from "./jobs.ts";

export interface Thread {
  /** Jobs that it was given and did not answer yet. */
  readonly waiting: number;
  run<Name extends keyof Jobs>(
    does: Name,
    args: Parameters<Jobs[Name]>,
    given?: ArrayBuffer[],
  ): Promise<ReturnType<Jobs[Name]>>;
  /** The handle of a key that the thread holds from now on. Throws INTERNAL for a key that is destroyed. */
  hold(key: PoolKey): KeyHandle;
  /** Resolves when the thread has overwritten its copy, if it has one. Jobs that came before are done with it first. */
  forget(key: PoolKey): Promise<void>;
  /** Resolves when the thread is gone, after all that it was given. */
  end(): Promise<void>;
}

/** `onEnd` is called when the thread is gone, whatever ended it. */
export function threadOf(worker: Worker, onEnd: () => void): Thread {
  const waiting = new ForgettingMap<{ resolve(value: unknown): void; reject(error: unknown): void }>();
  /** Least recently used first. */
  const handles = new Map<PoolKey, KeyHandle>();
  let lastId = 0;
  let lastHandle = 0;
  let ended: KmsError | undefined;
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));

  worker.unref();
  worker.on("message", ({ id, value, error }: Answer) => {
    const call = waiting.get(id)!;
    waiting.delete(id);
    if (waiting.size === 0) worker.unref(); // an idle pool keeps no process alive
    if (error === undefined) call.resolve(value);
    else call.reject(thrown(error));
  });
  const fail = (cause?: unknown) => {
    ended ??= new KmsError("INTERNAL", "a thread that works on batches has ended", { cause });
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
    onEnd();
  };
  worker.on("error", fail);
  worker.on("exit", () => fail());

  const run: Thread["run"] = (does, args, given = []) =>
    inFlight(
      "pool",
      () =>
        new Promise((resolve, reject) => {
          if (ended) return reject(ended);
          lastId += 1;
          worker.postMessage({ id: lastId, does, args } satisfies Call, given);
          waiting.set(lastId, { resolve: resolve as (value: unknown) => void, reject });
          worker.ref();
        }),
    );

  /** The key goes by memory that only the two threads see, and that the other one overwrites. */
  function importKey(key: PoolKey): KeyHandle {
    const seed = new SharedArrayBuffer(seedBytes);
    key.key.copySeed(new Uint8Array(seed));
    lastHandle += 1;
    const handle = lastHandle;
    run("importKey", [handle, seed]).catch(() => {
      new Uint8Array(seed).fill(0);
      if (handles.get(key) === handle) handles.delete(key); // it may have come again meanwhile
    });
    return handle;
  }

  async function forget(key: PoolKey): Promise<void> {
    const handle = handles.get(key);
    if (handle === undefined) return;
    handles.delete(key);
    await run("forgetKey", [handle]).catch(() => {}); // a thread that is gone holds nothing
  }

  return {
    get waiting() {
      return waiting.size;
    },
    run,
    hold(key) {
      const known = handles.get(key);
      if (known === undefined && handles.size === maxKeys) forget(handles.keys().next().value!);
      const handle = known ?? importKey(key);
      handles.delete(key);
      handles.set(key, handle);
      return handle;
    },
    forget,
    async end() {
      await run("end", []).catch(() => {});
      worker.ref(); // its end is waited for
      await inFlight("pool", () => exited);
    },
  };
}

function thrown({ code, message, violations }: PlainError): KmsError {
  // The words of a bug are for the log.
  if (code === "INTERNAL") return new KmsError(code, "a batch could not be worked on", { cause: new Error(message) });
  return new KmsError(code, message, { violations });
}
