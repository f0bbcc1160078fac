package dev.fluo.kms.verify;

import dev.fluo.kms.verify.LogHistory.KnownHead;
import dev.fluo.kms.verify.LogHistory.Rewritten;
import dev.fluo.kms.verify.LogHistory.UnprovenEntry;
import dev.fluo.kms.verify.LogReport.Finding;
import dev.fluo.kms.verify.LogReport.Kind;
import dev.fluo.kms.verify.Merkle.Range;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/** Whether what somebody hands over is all of a log, from one entry to another, unchanged and in order. */
final class LogAudit {
  /** Sorted as they were handed over. */
  private final List<LogEntry> spans;

  private final Set<Long> changed;
  /** The first one at each index, spans before handovers. */
  private final Map<Long, LogEntry> present = new HashMap<>();

  private final List<Finding> findings = new ArrayList<>();
  private final Range range;
  private final LogHistory history;

  /**
   * @param spans those whose own proofs hold, in the order in which they were handed over
   * @param unused handovers that were not used, as somebody says. They fill a gap where what comes after them proves it
   * @param changed indices of spans that are there but whose proofs do not hold: they are changed, not missing
   * @param options what has to be there; without it, from the first span or kept head to the last, the heads of the
   *     spans' own proofs among them
   */
  LogAudit(
      List<LogEntry> spans,
      List<LogEntry> handovers,
      List<UnprovenEntry> unused,
      Set<Long> changed,
      List<KnownHead> heads,
      LogOptions options) {
    this.range = rangeOf(spans, heads, options);
    this.spans = spans.stream().filter(span -> range.has(span.index())).toList();
    this.changed = changed;
    List<LogEntry> entries = once(handovers);
    Collection<KnownHead> within =
        heads.stream().filter(each -> range.has(each.head().size()) || each.head().size() == range.end()).toList();
    this.history =
        new LogHistory(entries, within, unused.stream().filter(each -> range.has(each.index())).toList());
    missing(entries);
    if (!options.anyOrder()) {
      reordered();
    }
    history.rewritten().forEach(each -> rewritten(each, entries));
    entries.stream().filter(entry -> !entry.isTrusted()).forEach(this::compromised);
    findings.sort(Comparator.comparingLong(finding -> finding.leafIndex().getAsLong()));
  }

  Range range() {
    return range;
  }

  LogHistory history() {
    return history;
  }

  /** Sorted by their places in the log. */
  List<Finding> findings() {
    return findings;
  }

  private static Range rangeOf(List<LogEntry> spans, List<KnownHead> heads, LogOptions options) {
    long[] kept = heads.stream().filter(KnownHead::isKept).mapToLong(each -> each.head().size()).toArray();
    LongStream starts = LongStream.concat(spans.stream().mapToLong(LogEntry::index), LongStream.of(kept));
    LongStream ends =
        spans.stream()
            .mapToLong(span -> Math.max(span.index() + 1, span.isTrusted() ? span.head().size() : 0));
    long start = options.from().orElseGet(() -> starts.min().orElse(0));
    long end = options.to().orElseGet(() -> LongStream.concat(ends, LongStream.of(kept)).max().orElse(0));
    return new Range(start, Math.max(start, end));
  }

  private void find(Kind kind, long index, long count, String name, String message) {
    findings.add(new Finding(kind, OptionalLong.of(index), count, Optional.ofNullable(name), message));
  }

  /** Returns the entries in the log's order, and finds those that come in the place of another. */
  private List<LogEntry> once(List<LogEntry> handovers) {
    Stream.concat(spans.stream(), handovers.stream().filter(each -> range.has(each.index())))
        .forEach(
            entry -> {
              LogEntry other = present.putIfAbsent(entry.index(), entry);
              if (other != null) {
                boolean isSpan = entry.name() != null;
                repeated(isSpan ? entry : other, isSpan ? other : entry);
              }
            });
    return present.values().stream().sorted(Comparator.comparingLong(LogEntry::index)).toList();
  }

  private void repeated(LogEntry entry, LogEntry other) {
    String place = other.name() == null ? "a handover" : other.name();
    find(Kind.REPEATED, entry.index(), 1, entry.name(), "in the place of " + place);
  }

  private void missing(List<LogEntry> entries) {
    List<Place> there = new ArrayList<>();
    entries.forEach(entry -> there.add(new Place(entry.index(), entry.name() == null ? "" : entry.name())));
    changed.stream().filter(range::has).forEach(index -> there.add(new Place(index, "")));
    history.fitting().forEach(entry -> there.add(new Place(entry.index(), "")));
    there.sort(Comparator.comparingLong(Place::index));
    there.add(new Place(range.end(), ""));
    long due = range.start();
    String before = "";
    for (Place each : there) {
      gap(due, each.index, before, each.name);
      due = Math.max(due, each.index + 1);
      before = each.name;
    }
  }

  /** @param name of the span there; empty for anything else */
  private record Place(long index, String name) {}

  private void gap(long from, long to, String before, String after) {
    if (from < to) {
      String sides = (before.isEmpty() ? "" : ", after " + before) + (after.isEmpty() ? "" : ", before " + after);
      find(Kind.MISSING, from, to - from, null, LogReport.counted(to - from, "entry", "entries") + sides);
    }
  }

  /** Finds the first span that stands where another is due. */
  private void reordered() {
    List<LogEntry> given = spans.stream().filter(span -> present.get(span.index()) == span).toList();
    List<LogEntry> sorted = given.stream().sorted(Comparator.comparingLong(LogEntry::index)).toList();
    for (int i = 0; i < given.size(); i++) {
      LogEntry found = given.get(i);
      LogEntry due = sorted.get(i);
      if (found != due) {
        String message = "entry %d stands where %s, entry %d, is due".formatted(found.index(), due.name(), due.index());
        find(Kind.REORDERED, due.index(), 1, found.name(), message);
        return;
      }
    }
  }

  private void rewritten(Rewritten each, List<LogEntry> entries) {
    Range where = each.range();
    long count = where.end() - where.start();
    String name =
        entries.stream()
            .filter(entry -> where.has(entry.index()) && entry.name() != null)
            .map(LogEntry::name)
            .findFirst()
            .orElse(null);
    String message =
        "%s from %d on: not what %s is of"
            .formatted(LogReport.counted(count, "entry", "entries"), where.start(), each.by());
    find(Kind.REWRITTEN, where.start(), count, name, message);
  }

  private void compromised(LogEntry entry) {
    boolean isRecorded = entry.index() < entry.recordedSize();
    if (isRecorded && history.proves(entry.index())) {
      return;
    }
    String message =
        isRecorded
            ? "signed by a compromised key alone, and in no other checkpoint that comes out"
            : "signed by a compromised key alone, past the "
                + LogReport.counted(entry.recordedSize(), "entry", "entries")
                + " that the log had then";
    find(Kind.COMPROMISED, entry.index(), 1, entry.name(), message);
  }
}
