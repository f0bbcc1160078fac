/**
 * What the entries of a log, one behind the other, make of its tree, against all that is known of that: what the proof of each says of the
 * entries before it, and the heads of signed checkpoints. Entries stand for themselves here: each is one whose own proof holds.
 *
 * A run of entries without a gap begins with the tree that its first proof says was before it, and grows from there. Where a head that is
 * known comes out, all of the run before it is proven by that, its beginning too.
 */
import { type Difference, type GrowingTree, growingTree } from "../tlog/replayed-tree.ts";
import type { Tree } from "../tlog/merkle.ts";
import { type Inclusion, subtreeHash, type TreeHead, treeBefore } from "../tlog/verify-proof.ts";
import { type Range, rangeOf } from "../tlog/proof-ranges.ts";

export interface HistoryEntry extends Inclusion {
  /** The head in which the entry is proven. */
  head: TreeHead;
  /** Whether a key signed that head that is not compromised. Otherwise the proof is worth nothing but with another head's. */
  isTrusted: boolean;
}

/** One without a proof of its own: only what comes after it in a run tells that it is there. */
export type UnprovenEntry = Pick<Inclusion, "index" | "leaf">;

/** A head that is known beside the entries' own. */
export interface KnownHead extends TreeHead {
  /** Kept by whoever asks, so that not even a key's holder could have changed it since. */
  isKept: boolean;
  isTrusted: boolean;
}

export interface History {
  /** Among these entries are others than a signed head, or a later entry's proof, is of. Those of a range that is not of the run lie before it. */
  rewritten: { range: Range; by: KnownHead | HistoryEntry }[];
  /** Which heads came out, with the ranges of entries that they are of; and in the place of which another did. */
  agreed: ReadonlyMap<KnownHead, readonly Range[]>;
  differed: ReadonlySet<KnownHead>;
  /** Entries that a trusted head proves, whatever signed their own. */
  proven: readonly Range[];
  /** Of the unproven entries those that fit in. */
  fitting: readonly UnprovenEntry[];
}

/** Entries one behind the other. */
interface Run {
  start: number;
  /** Entries of earlier runs that are in the tree with which this one began. */
  earlier: readonly Range[];
  tree: GrowingTree;
  /** Sizes at which a head came out; 0 where none did yet. */
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

/** What was found so far. */
interface Finding {
  known: ReadonlyMap<number, readonly OwnHead[]>;
  rewritten: History["rewritten"];
  agreed: Map<KnownHead, readonly Range[]>;
  differed: Set<KnownHead>;
  runs: Run[];
}

/** `entries` are in their order, none twice. */
export function historyOf(
  entries: readonly HistoryEntry[],
  heads: readonly KnownHead[],
  unproven: readonly UnprovenEntry[] = [],
): History {
  const found: Finding = {
    known: bySize([...heads, ...ownHeads(entries)]),
    rewritten: [],
    agreed: new Map(),
    differed: new Set(),
    runs: [],
  };
  const waiting = new Map(unproven.map((entry) => [entry.index, entry]));
  const taken: UnprovenEntry[] = [];
  let run: Run | undefined;
  /** What stands behind the run, up to the next entry that is proven. */
  const takeUnproven = (before: number) => {
    for (let next = run && waiting.get(run.tree.size()); next && next.index < before; ) {
      taken.push(next);
      run!.tree.add(next.leaf);
      compare(run!, found);
      next = waiting.get(run!.tree.size());
    }
  };
  for (const [i, entry] of entries.entries()) {
    takeUnproven(entry.index);
    const before = treeBefore(entry, entry.head.size);
    const goesOn = run?.tree.size() === entry.index;
    const comparison = run?.tree.compare(before);
    const difference = entry.isTrusted ? comparison?.difference : undefined;
    if (difference !== undefined) {
      const ofRun = entries.slice(0, i).filter(({ index }) => index >= run!.start);
      tell(found, rangeOfOthers(difference, ofRun), entry);
    }
    if (run === undefined || !goesOn || difference !== undefined) {
      const earlier = run === undefined || comparison?.difference ? [] : entriesBefore(run, comparison!.shared);
      run = begin(before, { earlier, isOther: difference !== undefined }, found);
    }
    run.tree.add(entry.leaf);
    compare(run, found);
  }
  takeUnproven(Number.POSITIVE_INFINITY);
  const last = Math.max(run?.agreedAt ?? 0, entries.at(-1)?.index ?? 0);
  const proven = found.runs.map(({ start, provenTo }) => ({ start, end: provenTo })).filter(isSome);
  const { rewritten, agreed, differed } = found;
  return { rewritten, agreed, differed, proven, fitting: taken.filter(({ index }) => index < last) };
}

/** The entries of a run, and those that it goes on from, as far as they are below an index. */
function entriesBefore({ start, earlier }: Run, end: number): Range[] {
  return [...earlier, { start, end }].map((range) => ({ ...range, end: Math.min(range.end, end) })).filter(isSome);
}

function isSome({ start, end }: Range): boolean {
  return start < end;
}

function begin(before: Tree, about: Pick<Run, "earlier" | "isOther">, found: Finding): Run {
  const [start, tree] = [before.size, growingTree(before)];
  const run = { start, tree, agreedAt: 0, keptAt: 0, provenTo: 0, isDifferent: false, ...about };
  found.runs.push(run);
  compare(run, found);
  return run;
}

/** The run's tree as it is now, against the heads of its size. */
function compare(run: Run, found: Finding): void {
  const { known, agreed, differed } = found;
  const heads = known.get(run.tree.size());
  if (heads === undefined) return;
  const root = run.tree.root();
  for (const head of heads) {
    if (Buffer.compare(head.root, root) === 0) {
      agreed.set(head, entriesBefore(run, head.size));
      run.agreedAt = head.size;
      if (head.isKept) run.keptAt = head.size;
      if (head.isTrusted) run.provenTo = head.size;
    } else {
      differed.add(head);
      const range = rangeBefore(head, run);
      if (range !== undefined && !run.isDifferent) tell(found, range, head);
      run.isDifferent = true;
    }
  }
}

/** A difference shows in the head of its group, and again in the next proof: it is told of once. */
function tell({ rewritten }: Finding, range: Range, by: KnownHead | HistoryEntry): void {
  const last = rewritten.at(-1)?.range;
  if (last === undefined || range.start >= last.end || last.start >= range.end) rewritten.push({ range, by });
}

/** In a subtree that is otherwise: those whose own proofs do not lead to its hash either, or all where none is known not to. */
function rangeOfOthers({ hash, ...subtree }: Difference, entries: readonly HistoryEntry[]): Range {
  const range = rangeOf(subtree);
  const others = entries
    .filter(({ index, head }) => index >= range.start && index < range.end && range.end <= head.size)
    .filter((entry) => Buffer.compare(subtreeHash(entry, subtree.level), hash) !== 0);
  return others.length === 0 ? range : { start: others[0]!.index, end: others.at(-1)!.index + 1 };
}

/**
 * Where the run has other entries than a head of its present size: behind the last head that came out, and behind the entries that the head
 * itself is of, for they fit in. Undefined where that was told of already: those entries lie before the run, among others than it has.
 */
function rangeBefore(head: OwnHead, run: Run): Range | undefined {
  const { lastEntry = -1 } = head;
  if (run.isOther && lastEntry >= 0 && lastEntry < run.start) return undefined;
  const end = run.tree.size();
  const start = Math.max(run.start, lastEntry + 1, head.isKept ? run.keptAt : run.agreedAt);
  // Where there is none of the run between, it is in what was before.
  return start < end ? { start, end } : { start: 0, end };
}

/** The heads of the entries themselves, each once. */
function ownHeads(entries: readonly HistoryEntry[]): OwnHead[] {
  const heads = new Map<string, OwnHead>();
  for (const { head, index, isTrusted } of entries) {
    const { size, root } = head;
    const key = `${size} ${Buffer.from(root).toString("latin1")}`;
    if (isTrusted) heads.set(key, { size, root, isKept: false, isTrusted, lastEntry: index });
  }
  return [...heads.values()];
}

function bySize(heads: readonly OwnHead[]): ReadonlyMap<number, OwnHead[]> {
  const known = new Map<number, OwnHead[]>();
  for (const head of heads) known.set(head.size, [...(known.get(head.size) ?? []), head]);
  return known;
}
