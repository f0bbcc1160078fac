/** Batches of spans between the processor and the backend: bounded by spans and bytes, in order. Those that find no room wait in order, too. */

export interface QueueLimits {
  spans: number;
  bytes: number;
}

export interface Sized {
  readonly spans: readonly unknown[];
  readonly bytes: number;
}

export interface ExporterQueue<Item extends Sized> {
  /** Resolves once the item has its place, or has none: before the signal there was no room, or the queue has ended. */
  put(item: Item, signal: AbortSignal): Promise<"placed" | "full" | "ended">;
  /** The items, in order, each once, as they come; ends behind the last one after `end`. An item keeps its place until `leave`. */
  items(): AsyncGenerator<Item, void, undefined>;
  leave(item: Item): void;
  /** All that have a place. */
  waiting(): readonly Item[];
  /** Spans and bytes that have a place. */
  held(): QueueLimits;
  /** Resolves when none of the items that have a place now has one any more. */
  passed(): Promise<void>;
  /** Gives nothing more a place. */
  end(): void;
}

export function exporterQueue<Item extends Sized>(limits: QueueLimits): ExporterQueue<Item> {
  const held: Item[] = [];
  const arrived: Item[] = [];
  const changed = new Set<() => void>();
  let [spans, bytes] = [0, 0];
  let isEnded = false;
  let turn: Promise<void> = Promise.resolve();

  const change = (signal?: AbortSignal) =>
    new Promise<void>((resolve) => {
      const done = () => {
        changed.delete(done);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      changed.add(done);
      signal?.addEventListener("abort", done, { once: true });
    });
  const tell = () => {
    for (const each of [...changed]) each();
  };
  // One that is larger than the queue fits into an empty one.
  const hasRoom = (item: Item) =>
    held.length === 0 || (spans + item.spans.length <= limits.spans && bytes + item.bytes <= limits.bytes);

  return {
    async put(item, signal) {
      const before = turn;
      const { promise, resolve: over } = Promise.withResolvers<void>();
      turn = promise;
      try {
        await before;
        while (!isEnded && !signal.aborted && !hasRoom(item)) await change(signal);
        if (isEnded) return "ended";
        if (signal.aborted) return "full";
        held.push(item);
        arrived.push(item);
        spans += item.spans.length;
        bytes += item.bytes;
        tell();
        return "placed";
      } finally {
        over();
      }
    },

    async *items() {
      for (;;) {
        const item = arrived.shift();
        if (item !== undefined) yield item;
        else if (isEnded) return;
        else await change();
      }
    },

    leave(item) {
      const at = held.indexOf(item);
      if (at < 0) return;
      held.splice(at, 1);
      spans -= item.spans.length;
      bytes -= item.bytes;
      tell();
    },

    waiting: () => held,

    held: () => ({ spans, bytes }),

    async passed() {
      const now = [...held];
      while (now.some((item) => held.includes(item))) await change();
    },

    end() {
      isEnded = true;
      tell();
    },
  };
}
