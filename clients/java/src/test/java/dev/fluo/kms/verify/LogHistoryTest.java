package dev.fluo.kms.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.fluo.kms.verify.LogHistory.KnownHead;
import dev.fluo.kms.verify.LogHistory.Rewritten;
import dev.fluo.kms.verify.Merkle.Range;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** A batch, and behind a gap the entries 5 to 9 of a log, against its kept checkpoint. */
class LogHistoryTest {
  private static final List<byte[]> LEAVES = leaves("entry", 10);
  private static final List<byte[]> FORGED = leaves("forged entry", 4);
  private static final List<LogEntry> BEHIND =
      Stream.concat(batch(LEAVES.subList(0, 7), 5), batch(LEAVES, 7)).toList();

  @Test
  void findsEntriesBeforeAGapThatAreOthersThanTheProofBehindItIsOf() {
    assertEquals(List.of(new Rewritten(new Range(0, 4), "the proof of entry 5")), rewritten(FORGED, BEHIND));
    assertEquals(List.of(), rewritten(LEAVES.subList(0, 4), BEHIND));
  }

  @Test
  void findsNoneWhereNoTrustedProofTellsOfThem() {
    assertEquals(List.of(), rewritten(FORGED, BEHIND.stream().map(entry -> entry.named(null, false)).toList()));
    // A tree of 3 entries is made of 2 and 1, one of 5 of 4 and 1: they share no subtree.
    assertEquals(List.of(), rewritten(FORGED.subList(0, 3), BEHIND));
  }

  private static List<Rewritten> rewritten(List<byte[]> first, List<LogEntry> behind) {
    KnownHead kept = new KnownHead(head(LEAVES), true, true);
    List<LogEntry> entries = Stream.concat(batch(first, 0), behind.stream()).toList();
    LogHistory history = new LogHistory(entries, List.of(kept), List.of());
    assertEquals(Optional.of(true), history.agrees(kept));
    return history.rewritten();
  }

  /** The entries from one on, proven in the head of all the leaves. */
  private static Stream<LogEntry> batch(List<byte[]> leaves, int from) {
    return IntStream.range(from, leaves.size())
        .mapToObj(i -> new TreeProof(i, MerkleTest.path(i, leaves), head(leaves), null))
        .map(proof -> new LogEntry(proof, leaves.get((int) proof.index()), true, 0, null));
  }

  private static Checkpoint head(List<byte[]> leaves) {
    return new Checkpoint("kms.example.com/acme", leaves.size(), MerkleTest.root(leaves));
  }

  private static List<byte[]> leaves(String name, int count) {
    return IntStream.range(0, count).mapToObj(i -> Merkle.leaf((name + i).getBytes())).toList();
  }
}
