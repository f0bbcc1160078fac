/**
 * What entries of a log, one behind the other, make of its tree, against all that is known of that: what the proof of each says of the
 * entries before it, and the heads of signed checkpoints. Each entry's own proof holds.
 *
 * A run of entries without a gap begins with the tree that its first proof says was before it, and grows from there. Where a head that is
 * known comes out, all of the run before it is proven by that, its beginning too.
 */
import { base64Text, isSame } from "./bytes.ts";
import type { Crypto } from "./crypto.ts";
import {
  type GrowingTree,
  growingTree,
  type Inclusion,
  type Subtree,
  subtreeHash,
  type Tree,
  type TreeHead,
  treeBefore,
} from "./merkle.ts";

/** Entries with the indices `start` to `end` - 1. */
export interface Range {
  start: number;
  end: number;
}

export interface HistoryEntry extends Inclusion {
  /** The head in which the entry is proven. */
  head: TreeHead;
  /** Whether a key signed that head that is not compromised. Otherwise the proof is worth nothing but with another head's. */
  isTrusted: boolean;
}

/** An entry without a proof of its own: only what comes after it in a run shows that it is there. */
export type UnprovenEntry = Pick<Inclusion, "index" | "leaf">;

/** A head that is known beside the entries' own. */
export interface KnownHead extends TreeHead {
  /** Kept by whoever asks, so that not even a key's holder could have changed it since. */
  isKept: boolean;
  isTrusted: boolean;
}

export interface History {
  /** Ranges whose entries contradict a signed head, or a later entry's proof. A range that is not of the run lies before it. */
  rewritten: { range: Range; by: KnownHead | HistoryEntry }[];
  /** Heads that came out, with the ranges of entries that they are of. */
  agreed: ReadonlyMap<KnownHead, readonly Range[]>;
  /** Heads in whose place another came out. */
  differed: ReadonlySet<KnownHead>;
  /** Entries that a trusted head proves, whatever signed their own. */
  proven: readonly Range[];
  /** Unproven entries that fit in. */
  fitting: readonly UnprovenEntry[];
}

/** Entries one behind the other. */
interface Run {
  start: number;
  /** Entries of earlier runs that are in the tree with which this one began. */
  earlier: readonly Range[];
  tree: GrowingTree;
  /** Sizes at which a head came out, and a kept one; 0 where none did yet. */
  agreedAt: number;
  keptAt: number;
  /** The largest size at which a trusted head came out. */
  provenTo: number;
  /** Whether it goes on behind a difference, from the tree that a later proof tells of. */
  isOther: boolean;
  /** A difference stays in every head behind it, and is told once. */
  isDifferent: boolean;
}

/** A head by which entries are proven, and the last one of those. */
interface OwnHead extends KnownHead {
  lastEntry?: number;
}

/** `entries` are in their order, none twice. */
export async function historyOf(
  entries: readonly HistoryEntry[],
  heads: readonly KnownHead[],
  unproven: readonly UnprovenEntry[],
  crypto: Crypto,
): Promise<History> {
  const known = new Map<number, OwnHead[]>();
  for (const head of [...heads, ...ownHeads(entries)]) known.set(head.size, [...(known.get(head.size) ?? []), head]);
  const waiting = new Map(unproven.map((entry) => [entry.index, entry]));
  const taken: UnprovenEntry[] = [];
  const rewritten: History["rewritten"] = [];
  const [agreed, differed] = [new Map<KnownHead, readonly Range[]>(), new Set<KnownHead>()];
  const runs: Run[] = [];
  let run: Run | undefined;

  /** A difference shows in the head of its group, and again in the next proof: it is told of once. */
  function tell(range: Range, by: KnownHead | HistoryEntry): void {
    const last = rewritten.at(-1)?.range;
    if (last === undefined || range.start >= last.end || last.start >= range.end) rewritten.push({ range, by });
  }

  async function begin(before: Tree, about: Pick<Run, "earlier" | "isOther">): Promise<Run> {
    const tree = growingTree(before, crypto);
    const begun = { start: before.size, tree, agreedAt: 0, keptAt: 0, provenTo: 0, isDifferent: false, ...about };
    runs.push(begun);
    await compare(begun);
    return begun;
  }

  async function add(to: Run, leaf: Uint8Array): Promise<void> {
    await to.tree.add(leaf);
    await compare(to);
  }

  /** The run's tree as it is now, against the heads of its size. */
  async function compare(grown: Run): Promise<void> {
    const ofSize = known.get(grown.tree.size());
    if (ofSize === undefined) return;
    const root = await grown.tree.root();
    for (const head of ofSize) {
      if (isSame(head.root, root)) {
        agreed.set(head, entriesBefore(grown, head.size));
        grown.agreedAt = head.size;
        if (head.isKept) grown.keptAt = head.size;
        if (head.isTrusted) grown.provenTo = head.size;
      } else {
        differed.add(head);
        const range = rangeBefore(head, grown);
        if (range !== undefined && !grown.isDifferent) tell(range, head);
        grown.isDifferent = true;
      }
    }
  }

  /** Adds what stands behind the run, up to the next entry that is proven. */
  async function takeUnproven(before: number): Promise<void> {
    if (run === undefined) return;
    for (;;) {
      const next = waiting.get(run.tree.size());
      if (next === undefined || next.index >= before) return;
      taken.push(next);
      await add(run, next.leaf);
    }
  }

  for (const [i, entry] of entries.entries()) {
    await takeUnproven(entry.index);
    const before = treeBefore(entry, entry.head.size);
    const goesOn = run?.tree.size() === entry.index;
    const comparison = run?.tree.compare(before);
    const difference = entry.isTrusted ? comparison?.difference : undefined;
    if (difference !== undefined) {
      const { start } = run!;
      const ofRun = entries.slice(0, i).filter(({ index }) => index >= start);
      tell(await rangeOfOthers(difference, ofRun, crypto), entry);
    }
    if (run === undefined || !goesOn || difference !== undefined) {
      const earlier = run === undefined || comparison?.difference ? [] : entriesBefore(run, comparison!.shared);
      run = await begin(before, { earlier, isOther: difference !== undefined });
    }
    await add(run, entry.leaf);
  }
  await takeUnproven(Number.POSITIVE_INFINITY);
  const last = Math.max(run?.agreedAt ?? 0, entries.at(-1)?.index ?? 0);
  const proven = runs.map(({ start, provenTo }) => ({ start, end: provenTo })).filter(isSome);
  return { rewritten, agreed, differed, proven, fitting: taken.filter(({ index }) => index < last) };
}

/** The entries of a run, and those that it goes on from, as far as they are below an index. */
function entriesBefore({ start, earlier }: Run, end: number): Range[] {
  return [...earlier, { start, end }].map((range) => ({ ...range, end: Math.min(range.end, end) })).filter(isSome);
}

function isSome({ start, end }: Range): boolean {
  return start < end;
}

/** Returns the entries of a differing subtree whose own proofs do not lead to its hash, or all of it where every known one does. */
async function rangeOfOthers(
  { start, end, level, hash }: Subtree,
  entries: readonly HistoryEntry[],
  crypto: Crypto,
): Promise<Range> {
  const others: number[] = [];
  for (const entry of entries) {
    const { index, head } = entry;
    if (index < start || index >= end || end > head.size) continue;
    if (!isSame(await subtreeHash(entry, level, crypto), hash)) others.push(index);
  }
  return others.length === 0 ? { start, end } : { start: others[0]!, end: others.at(-1)! + 1 };
}

/**
 * Where the run has other entries than a head of its present size: behind the last head that came out, and behind the entries that the head
 * itself is of, for they fit in. Undefined where that was told of already: those entries lie before the run, among others than it has.
 */
function rangeBefore({ lastEntry = -1, isKept }: OwnHead, run: Run): Range | undefined {
  if (run.isOther && lastEntry >= 0 && lastEntry < run.start) return undefined;
  const end = run.tree.size();
  const start = Math.max(run.start, lastEntry + 1, isKept ? run.keptAt : run.agreedAt);
  // Where there is none of the run between, it is in what was before.
  return start < end ? { start, end } : { start: 0, end };
}

/** The trusted heads of the entries themselves, each once. */
function ownHeads(entries: readonly HistoryEntry[]): OwnHead[] {
  const heads = new Map<string, OwnHead>();
  for (const { head, index, isTrusted } of entries) {
    const { size, root } = head;
    if (isTrusted) heads.set(`${size} ${base64Text(root)}`, { size, root, isKept: false, isTrusted, lastEntry: index });
  }
  return [...heads.values()];
}
