/** The page's side of its worker: made of the page's own script, asked by messages, ended to cancel. */
import type { Exchanges, FromWorker, Kind, ToWorker } from "./messages.ts";

export interface VerifierWorker {
  ask<K extends Kind>(kind: K, request: Exchanges[K]["request"]): Promise<Exchanges[K]["response"]>;
  /** What was asked is never answered. */
  end(): void;
}

const crashed =
  "The verification broke off, perhaps because this browser ran out of memory. Verify the files by the command fluo-kms verify.";

/** `url` is that of the page's script. */
export function startVerifierWorker(
  url: string,
  onProgress: (progress: { done: number; total: number }) => void,
): VerifierWorker {
  const worker = new Worker(url);
  const waiting = new Map<number, { resolve(response: unknown): void; reject(error: Error): void }>();
  let asked = 0;
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if ("progress" in data) return onProgress(data.progress);
    const answer = waiting.get(data.id);
    waiting.delete(data.id);
    if ("failure" in data) answer?.reject(new Error(data.failure));
    else answer?.resolve(data.response);
  };
  worker.onerror = () => {
    for (const { reject } of waiting.values()) reject(new Error(crashed));
    waiting.clear();
  };
  return {
    ask<K extends Kind>(kind: K, request: Exchanges[K]["request"]) {
      asked += 1;
      const id = asked;
      return new Promise<Exchanges[K]["response"]>((resolve, reject) => {
        waiting.set(id, { resolve: resolve as (response: unknown) => void, reject });
        worker.postMessage({ id, kind, request } as ToWorker);
      });
    },
    end: () => worker.terminate(),
  };
}
