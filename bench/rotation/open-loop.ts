/** Calls that begin at their time whether or not those before them were answered, and how long each took from that time on. */

export interface Timed {
  /** When it should have begun, and did unless this process was late. Milliseconds since 1970. */
  atMs: number;
  tookMs: number;
}

export interface OpenLoop {
  timed: readonly Timed[];
  /** Begins nothing more and waits for what is under way. Rejects with the first failure, if any. */
  stop(): Promise<void>;
}

export function openLoop(perSecond: number, work: (turn: number) => Promise<unknown>): OpenLoop {
  const timed: Timed[] = [];
  const running = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  let turn = 0;
  const now = () => performance.timeOrigin + performance.now();
  const startedMs = now();

  async function begin(atMs: number): Promise<void> {
    try {
      await work(turn++);
      timed.push({ atMs, tookMs: now() - atMs });
    } catch (error) {
      failure ??= { error };
    }
  }

  const timer = setInterval(() => {
    for (let atMs = nextMs(); atMs <= now(); atMs = nextMs()) {
      const one = begin(atMs).finally(() => running.delete(one));
      running.add(one);
    }
  }, 1);
  const nextMs = () => startedMs + (turn * 1000) / perSecond;

  return {
    timed,
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
      if (failure !== undefined) throw failure.error;
    },
  };
}

export function quantile(timed: readonly Timed[], share: number): number {
  const sorted = timed.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
