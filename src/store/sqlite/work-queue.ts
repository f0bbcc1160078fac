/** Reads and writes that wait for the one connection, in the order in which they came. */

export interface Work {
  kind: "read" | "write" | "close";
  run(): Promise<void>;
  /** Answers, once what it did is durable. */
  settle(problem?: unknown): void;
}

export interface WorkQueue {
  /** Adds a piece of work. Resolves or rejects when it is settled. */
  add<T>(kind: Work["kind"], work: () => Promise<T>): Promise<T>;
  take(...kinds: Work["kind"][]): Work[];
  /** The writes that are committed together next. Those beyond the limit wait on, behind all others. */
  takeGroup(): Work[];
  isEmpty(): boolean;
  /** Whether there is work that needs the file. */
  needsFile(): boolean;
}

/** The most writes in one commit: bounds how long a read waits behind them. */
const maxGroup = 256;

/** `added` is called after each addition. */
export function workQueue(added: () => void): WorkQueue {
  let waiting: Work[] = [];

  function take(...kinds: Work["kind"][]): Work[] {
    const taken = waiting.filter(({ kind }) => kinds.includes(kind));
    waiting = waiting.filter((work) => !taken.includes(work));
    return taken;
  }

  return {
    add<T>(kind: Work["kind"], work: () => Promise<T>): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        let result: T;
        waiting.push({
          kind,
          async run() {
            result = await work();
          },
          settle: (problem) => (problem === undefined ? resolve(result) : reject(problem)),
        });
        added();
      });
    },

    take,

    takeGroup() {
      const writes = take("write");
      waiting.push(...writes.slice(maxGroup));
      return writes.slice(0, maxGroup);
    },

    isEmpty: () => waiting.length === 0,
    needsFile: () => waiting.some(({ kind }) => kind !== "close"),
  };
}
