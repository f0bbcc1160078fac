/** The client's process, seen from the one that tells it what to do. */
import { startChild } from "../child.ts";
import type { Load, Loaded } from "./load.ts";

export interface LoadClient {
  /** What it gives runs the load. The first run makes it, and sends it over. */
  load(make: () => Load): () => Promise<Loaded>;
  stop(): Promise<void>;
}

export function startClient(): LoadClient {
  const child = startChild("client/main.ts");
  return {
    load(make) {
      let prepared: Promise<number> | undefined;
      return async () => {
        prepared ??= child.ask<number>({ prepare: make() });
        return child.ask<Loaded>({ run: await prepared });
      };
    },
    stop: child.stop,
  };
}
