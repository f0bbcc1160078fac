/**
 * News of changes from other replicas, by LISTEN on a connection of its own. While it is lost news is missed: so when it is back,
 * everything may have changed.
 */
import pg from "pg";
import type { Time } from "../../runtime/time.ts";
import type { KeyChange } from "../key-store.ts";

export interface NewsOptions {
  config: pg.ClientConfig;
  channel: string;
  /** Whose own news is not passed on. */
  instance: string;
  time: Time;
}

export interface News {
  watch(listener: (change: KeyChange) => void): () => void;
  close(): Promise<void>;
}

const firstPauseMs = 100;
const longestPauseMs = 5_000;
/** A peer that vanished without a word is noticed by this. */
const pulseMs = 5_000;

export function postgresNews({ config, channel, instance, time }: NewsOptions): News {
  const listeners = new Set<(change: KeyChange) => void>();
  const stopped = new AbortController();
  const tell = (change: KeyChange) => {
    for (const listener of listeners) listener(change);
  };
  let running: Promise<void> | undefined;

  /** Resolves when the connection is lost. */
  async function listen(connected: () => void): Promise<void> {
    const client = new pg.Client({ ...config, query_timeout: pulseMs });
    const gone = new Promise<void>((resolve) => {
      client.on("error", () => resolve());
      client.on("end", () => resolve());
    });
    client.on("notification", ({ payload }) => {
      const { instance: from, ...change } = JSON.parse(payload ?? "{}");
      if (from !== instance) tell(change);
    });
    try {
      await client.connect();
      await client.query(`listen ${channel}`);
      connected();
      while (!stopped.signal.aborted) {
        await Promise.race([gone, time.sleep(pulseMs, { ref: false, signal: stopped.signal })]);
        await client.query("select 1");
      }
    } finally {
      await client.end().catch(() => {});
    }
  }

  async function run(): Promise<void> {
    let pauseMs = firstPauseMs;
    while (!stopped.signal.aborted) {
      const connected = () => {
        pauseMs = firstPauseMs;
        tell("any");
      };
      await listen(connected).catch(() => {});
      await time.sleep(pauseMs * (0.5 + Math.random()), { ref: false, signal: stopped.signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
  }

  return {
    watch(listener) {
      listeners.add(listener);
      running ??= run();
      return () => {
        listeners.delete(listener);
      };
    },
    async close() {
      stopped.abort();
      await running;
    },
  };
}
