package dev.fluo.kms.verify;

import dev.fluo.kms.verify.Merkle.GrowingTree;
import dev.fluo.kms.verify.Merkle.Range;
import dev.fluo.kms.verify.Merkle.Subtree;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What the entries of a log, one behind the other, make of its tree, against all that is known of that: what the proof
 * of each says of the entries before it, and the heads of signed checkpoints.
 *
 * <p>A run of entries without a gap begins with the tree that its first proof says was before it, and grows from there.
 * Where a head that is known comes out, all of the run before it is proven by that, its beginning too. Behind a gap, the
 * proof of the next entry still tells of the subtrees that its tree shares with the run's.
 */
final class LogHistory {
  /**
   * A head that is known beside the entries' own; told apart by identity.
   *
   * @param isKept kept by whoever asks, so that not even a key's holder could have changed it since
   */
  record KnownHead(Checkpoint head, boolean isKept, boolean isTrusted) {}

  /** A handover that was not used: only what comes after it in a run tells that it is there. */
  record UnprovenEntry(String origin, long index, byte[] leaf) {}

  /** The range has other entries than a signed head, or a later entry's proof, covers. */
  record Rewritten(Range range, String by) {}

  /** @param lastEntry the last of the entries that the head is their own of; −1 where it is nobody's */
  private record Head(KnownHead known, long lastEntry) {}

  /** Entries one behind the other. */
  private static final class Run {
    private final GrowingTree tree;
    private final long start;
    /** Whether it goes on behind a difference, from the tree that a later proof tells of. */
    private final boolean isOther;

    /** Sizes at which a head came out, a kept one, and a trusted one; 0 where none did yet. */
    private long agreedAt;

    private long keptAt;
    private long provenTo;

    /** A difference stays in every head behind it, and is told once. */
    private boolean isDifferent;

    Run(GrowingTree tree, boolean isOther) {
      this.tree = tree;
      this.start = tree.size();
      this.isOther = isOther;
    }
  }

  private final Map<Long, List<Head>> headsBySize = new HashMap<>();
  private final List<Rewritten> rewritten = new ArrayList<>();
  private final Set<KnownHead> agreed = Collections.newSetFromMap(new IdentityHashMap<>());
  private final Set<KnownHead> differed = Collections.newSetFromMap(new IdentityHashMap<>());
  private final List<Run> runs = new ArrayList<>();
  private final Map<Long, UnprovenEntry> waiting = new HashMap<>();
  private final List<UnprovenEntry> taken = new ArrayList<>();
  private final long lastIndex;

  /** @param entries in their order, none twice */
  LogHistory(List<LogEntry> entries, Collection<KnownHead> heads, Collection<UnprovenEntry> unproven) {
    heads.forEach(head -> add(new Head(head, -1)));
    ownHeads(entries).forEach(this::add);
    unproven.forEach(entry -> waiting.put(entry.index(), entry));
    lastIndex = entries.isEmpty() ? 0 : entries.get(entries.size() - 1).index();
    replay(entries);
  }

  List<Rewritten> rewritten() {
    return rewritten;
  }

  /** Returns whether the head came out; empty where the entries do not go there. */
  Optional<Boolean> agrees(KnownHead head) {
    return agreed.contains(head) ? Optional.of(true) : differed.contains(head) ? Optional.of(false) : Optional.empty();
  }

  /** Whether a trusted head proves the entry, whatever signed its own. */
  boolean proves(long index) {
    return runs.stream().anyMatch(run -> index >= run.start && index < run.provenTo);
  }

  /** Returns the unproven entries that fit in. */
  List<UnprovenEntry> fitting() {
    long last = Math.max(runs.isEmpty() ? 0 : runs.get(runs.size() - 1).agreedAt, lastIndex);
    return taken.stream().filter(entry -> entry.index() < last).toList();
  }

  private void replay(List<LogEntry> entries) {
    Run run = null;
    for (int i = 0; i < entries.size(); i++) {
      LogEntry entry = entries.get(i);
      takeUnproven(run, entry.index());
      List<byte[]> frontier = Merkle.frontierBefore(entry.index(), entry.proof().path(), entry.head().size());
      GrowingTree before = new GrowingTree(entry.index(), frontier);
      Subtree difference = run != null && entry.isTrusted() ? run.tree.differenceFrom(before) : null;
      if (difference != null) {
        long start = run.start;
        List<LogEntry> ofRun = entries.subList(0, i).stream().filter(each -> each.index() >= start).toList();
        tell(rangeOfOthers(difference, ofRun), "the proof of entry " + entry.index());
      }
      if (run == null || run.tree.size() != entry.index() || difference != null) {
        run = new Run(before, difference != null);
        runs.add(run);
        compare(run);
      }
      run.tree.add(entry.leaf());
      compare(run);
    }
    takeUnproven(run, Long.MAX_VALUE);
  }

  /** Takes what stands behind the run, up to the next entry that is proven. */
  private void takeUnproven(Run run, long before) {
    if (run == null) {
      return;
    }
    for (UnprovenEntry next = waiting.get(run.tree.size());
        next != null && next.index() < before;
        next = waiting.get(run.tree.size())) {
      taken.add(next);
      run.tree.add(next.leaf());
      compare(run);
    }
  }

  /** Compares the run's tree as it is now with the heads of its size. */
  private void compare(Run run) {
    List<Head> heads = headsBySize.get(run.tree.size());
    if (heads == null) {
      return;
    }
    byte[] root = run.tree.root();
    for (Head head : heads) {
      KnownHead known = head.known;
      if (Arrays.equals(known.head().root(), root)) {
        agreed.add(known);
        run.agreedAt = run.tree.size();
        run.keptAt = known.isKept() ? run.agreedAt : run.keptAt;
        run.provenTo = known.isTrusted() ? run.agreedAt : run.provenTo;
      } else {
        differed.add(known);
        Range range = rangeBefore(head, run);
        if (range != null && !run.isDifferent) {
          tell(range, sourceOf(head));
        }
        run.isDifferent = true;
      }
    }
  }

  private static String sourceOf(Head head) {
    return "the checkpoint of size " + head.known.head().size();
  }

  /** A difference shows in the head of its group, and again in the next proof: it is told of once. */
  private void tell(Range range, String by) {
    Range last = rewritten.isEmpty() ? null : rewritten.get(rewritten.size() - 1).range();
    if (last == null || range.start() >= last.end() || last.start() >= range.end()) {
      rewritten.add(new Rewritten(range, by));
    }
  }

  /** Returns the entries of a subtree whose own proofs do not lead to its hash, or all of it where none is known not to. */
  private static Range rangeOfOthers(Subtree difference, List<LogEntry> entries) {
    Range range = difference.range();
    List<LogEntry> others =
        entries.stream()
            .filter(entry -> range.has(entry.index()) && range.end() <= entry.head().size())
            .filter(entry -> !Arrays.equals(entry.subtree(difference.level()), difference.hash()))
            .toList();
    return others.isEmpty()
        ? range
        : new Range(others.get(0).index(), others.get(others.size() - 1).index() + 1);
  }

  /**
   * Returns where the run has other entries than a head of its present size: behind the last head that came out, and
   * behind the entries that the head itself is of, for they fit in. Null where that was told of already: those entries
   * lie before the run, among others than it has.
   */
  private static Range rangeBefore(Head head, Run run) {
    if (run.isOther && head.lastEntry >= 0 && head.lastEntry < run.start) {
      return null;
    }
    long end = run.tree.size();
    long cameOut = head.known.isKept() ? run.keptAt : run.agreedAt;
    long start = Math.max(run.start, Math.max(head.lastEntry + 1, cameOut));
    // Where there is none of the run between, it is in what was before.
    return new Range(start < end ? start : 0, end);
  }

  /** The heads of the entries themselves, each once. */
  private static Collection<Head> ownHeads(List<LogEntry> entries) {
    Map<String, Head> heads = new LinkedHashMap<>();
    for (LogEntry entry : entries) {
      if (entry.isTrusted()) {
        String key = entry.head().size() + " " + Arrays.toString(entry.head().root());
        heads.put(key, new Head(new KnownHead(entry.head(), false, true), entry.index()));
      }
    }
    return heads.values();
  }

  private void add(Head head) {
    headsBySize.computeIfAbsent(head.known.head().size(), size -> new ArrayList<>()).add(head);
  }
}
