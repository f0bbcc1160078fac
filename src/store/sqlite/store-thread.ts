/** A thread of the store, in which methods run by their names: each call is a message, and its answer another. */
import { type MessagePort, Worker, type WorkerOptions } from "node:worker_threads";
import { KmsError, type KmsErrorCode } from "../../errors.ts";
import { inFlight } from "../../runtime/in-flight.ts";
import type { KeyChange } from "../key-store.ts";

export interface Call {
  id: number;
  method: string;
  args: unknown[];
}

/** An answer with `change` is a notification, and answers no call. */
export interface Answer {
  id?: number;
  value?: unknown;
  error?: PlainError;
  change?: KeyChange;
}

interface PlainError {
  code?: KmsErrorCode;
  message: string;
  advice?: string | undefined;
  metadata?: Readonly<Record<string, string>>;
  cause?: string | undefined;
  /** The writer must open the file first. */
  reopens?: true;
}

export interface Thread {
  call(method: string, args: unknown[]): Promise<unknown>;
  /** Calls that have no answer yet, without the one that the thread works on. */
  waiting(): number;
  /** Whether `error`, of a call, says that the writer must open the file first. */
  isReopening(error: unknown): boolean;
  watch(listener: (change: KeyChange) => void): () => void;
  /** Resolves once the thread has ended. */
  close(): Promise<void>;
}

/** Messages are garbage soon, and their bytes lie outside the heap: a small young generation gives them back sooner. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };

/** `ended` is called when the thread has ended, however that came. */
export function startThread(
  program: URL,
  options: Pick<WorkerOptions, "workerData" | "transferList">,
  ended: () => void = () => {},
): Thread {
  const worker = new Worker(program, { ...options, resourceLimits });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  const listeners = new Set<(change: KeyChange) => void>();
  const reopening = new WeakSet<object>();
  let lastId = 0;
  let end: KmsError | undefined;
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));

  worker.on("message", ({ id, value, error, change }: Answer) => {
    if (change !== undefined) for (const listener of listeners) listener(change);
    const call = waiting.get(id ?? 0);
    if (call === undefined) return;
    waiting.delete(id!);
    if (waiting.size === 0) worker.unref(); // an idle store keeps no process alive
    if (error === undefined) return call.resolve(value);
    const failure = thrown(error);
    if (error.reopens) reopening.add(failure);
    call.reject(failure);
  });
  const endAll = (cause?: unknown) => {
    end ??= new KmsError("STORE_UNAVAILABLE", "the thread of the SQLite store has ended", { cause });
    for (const { reject } of waiting.values()) reject(end);
    waiting.clear();
    ended();
  };
  worker.on("error", endAll);
  worker.on("exit", () => endAll());

  function call(method: string, args: unknown[]): Promise<unknown> {
    const send = () =>
      new Promise<unknown>((resolve, reject) => {
        if (end) return reject(end);
        lastId += 1;
        waiting.set(lastId, { resolve, reject });
        worker.ref();
        worker.postMessage({ id: lastId, method, args } satisfies Call);
      });
    return inFlight("store", send);
  }

  return {
    call,
    waiting: () => Math.max(0, waiting.size - 1),
    isReopening: (error) => reopening.has(error as object),
    watch(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    async close() {
      if (end) return;
      await call("close", []).catch(() => {});
      worker.ref(); // its end is waited for
      await inFlight("store", () => exited);
    },
  };
}

/** Answers, in the thread, the calls that arrive by `run`, and ends with the answer of `close`. */
export function answerCalls(
  port: MessagePort,
  run: (call: Pick<Call, "method" | "args">) => Promise<unknown>,
  { isReopening = () => false, closed }: { isReopening?: (error: unknown) => boolean; closed: () => void },
): void {
  port.on("message", async ({ id, method, args }: Call) => {
    const answer: Answer = await run({ method, args }).then(
      (value) => ({ id, value }),
      (error) => ({ id, error: { ...toPlain(error), ...(isReopening(error) && { reopens: true }) } }),
    );
    port.postMessage(answer);
    if (method !== "close") return;
    closed();
    port.close();
  });
}

/** Keeps of an error what structured cloning would drop from a class. */
function toPlain(error: unknown): PlainError {
  if (!(error instanceof KmsError)) return { message: String((error as Error)?.stack ?? error) };
  const { code, message, advice, metadata, cause } = error;
  return {
    code,
    message,
    advice,
    metadata,
    cause: cause instanceof Error ? `${cause.name}: ${cause.message}` : undefined,
  };
}

/** Makes the error again in the thread that called. */
function thrown({ code, message, advice, metadata = {}, cause }: PlainError): Error {
  if (code === undefined) return new Error(message);
  return new KmsError(code, message, { advice, metadata, ...(cause !== undefined && { cause: new Error(cause) }) });
}
