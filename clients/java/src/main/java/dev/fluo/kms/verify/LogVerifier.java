package dev.fluo.kms.verify;

import dev.fluo.kms.verify.LogHistory.KnownHead;
import dev.fluo.kms.verify.LogReport.Finding;
import dev.fluo.kms.verify.LogReport.Kind;
import dev.fluo.kms.verify.LogReport.Log;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/** Sorts the spans of an export by the log that each is of, and audits each log. */
final class LogVerifier {
  /** A kept checkpoint that a key of the tenant signed. */
  private record Kept(String name, KnownHead head) {}

  /** A finding, and where it comes among the others. */
  private record Placed(double at, Finding finding) {}

  private static final class SpansOfLog {
    /** Sorted as in the export. */
    private final List<LogEntry> held = new ArrayList<>();

    private final Set<Long> changed = new HashSet<>();
    private final List<Placed> findings = new ArrayList<>();
  }

  private final KeySet keys;
  private final LogOptions options;
  private final List<Kept> kept;
  private final List<String> origins;
  private final Map<String, SpansOfLog> logs = new LinkedHashMap<>();
  private int apart;

  private LogVerifier(KeySet keys, LogOptions options) {
    this.keys = keys;
    this.options = options;
    this.kept = options.checkpoints().stream().flatMap(this::read).toList();
    this.origins = keys.logs();
  }

  static LogReport verify(KeySet keys, List<Judged> spans, LogOptions options) {
    return new LogVerifier(keys, options).verify(spans);
  }

  private LogReport verify(List<Judged> spans) {
    if (origins.isEmpty()) {
      throw new LogException("the keys file names no log; save again what the service serves");
    }
    sort(spans);
    kept.forEach(each -> log(each.head.head().origin()));
    if (logs.size() > 1 && (options.from().isPresent() || options.to().isPresent())) {
      String names = String.join(", ", logs.keySet());
      throw new LogException("the spans are of several logs (" + names + "); from and to are for one");
    }
    return new LogReport(logs.entrySet().stream().map(each -> audited(each.getKey(), each.getValue())).toList(), apart);
  }

  private Stream<Kept> read(LogOptions.KeptCheckpoint file) {
    List<SignedNote> notes = SignedNote.parseAll(file.text());
    List<Checkpoint> heads = notes.stream().map(note -> Checkpoint.parse(note.text())).toList();
    if (heads.isEmpty() || heads.contains(null)) {
      throw new LogException(
          file.name() + " holds no checkpoint: it must be one signed note, or several, as GetCheckpoint gives them");
    }
    return notes.stream().map(note -> signed(file.name(), note));
  }

  private Kept signed(String name, SignedNote note) {
    Checkpoint head = Checkpoint.parse(note.text());
    List<LogKey> signers = note.signers(keys.ofLog(head.origin()));
    if (signers == null || signers.isEmpty()) {
      throw new LogException(
          name + ": no key of the keys file signed the checkpoint of " + head.size()
              + ", which is of " + head.origin());
    }
    return new Kept(name, new KnownHead(head, true, isTrusted(signers)));
  }

  private SpansOfLog log(String origin) {
    return logs.computeIfAbsent(origin, each -> new SpansOfLog());
  }

  /**
   * A span of no known log counts with the one before it, the first ones with the first log: it is there where one of
   * that log could be.
   */
  private void sort(List<Judged> spans) {
    String origin =
        spans.stream().map(Judged::origin).filter(origins::contains).findFirst().orElse(origins.get(0));
    double at = -1;
    for (Judged span : spans) {
      if (span.place() == null && span.verdict().verified()) {
        apart++;
        continue;
      }
      origin = origins.contains(span.origin()) ? span.origin() : origin;
      SpansOfLog log = log(origin);
      if (isHeld(span)) {
        LogEntry entry = entry(span.place().proof(), span.place().leaf(), span.place().signers());
        log.held.add(entry.named(span.name(), span.verdict().verified()));
        at = entry.index();
        continue;
      }
      // The index in another log means nothing in this one.
      OptionalLong index = origin.equals(span.origin()) ? span.verdict().leafIndex() : OptionalLong.empty();
      log.findings.add(new Placed(index.isPresent() ? index.getAsLong() : at + 0.5, finding(span, index)));
      if (index.isPresent() && span.verdict().reason() == Reason.PROOF_INVALID) {
        log.changed.add(index.getAsLong());
      }
    }
  }

  private static boolean isHeld(Judged span) {
    return span.place() != null
        && (span.verdict().verified() || span.verdict().reason() == Reason.KEY_COMPROMISED);
  }

  private static Finding finding(Judged span, OptionalLong index) {
    Kind kind =
        switch (span.verdict().reason()) {
          case OK, KEY_STATE -> Kind.UNPROVEN;
          case SIGNATURE_MISMATCH, SPAN_MISMATCH, PROOF_INVALID -> Kind.CHANGED;
          case UNKNOWN_KEY -> Kind.FOREIGN;
          case KEY_COMPROMISED -> Kind.COMPROMISED;
          case MALFORMED -> Kind.UNREADABLE;
        };
    return new Finding(kind, index, 1, Optional.of(span.name()), span.verdict().explanation());
  }

  private Log audited(String origin, SpansOfLog log) {
    List<Kept> own = kept.stream().filter(each -> each.head.head().origin().equals(origin)).toList();
    Stream<KnownHead> recorded =
        keys.ofLog(origin).stream()
            .map(LogKey::compromisedLog)
            .filter(head -> head != null && head.origin().equals(origin))
            .map(head -> new KnownHead(head, false, true));
    List<KnownHead> heads = Stream.concat(own.stream().map(Kept::head), recorded).toList();
    List<LogEntry> handovers = handovers(origin);
    LogAudit audit = new LogAudit(log.held, handovers, keys.unused(origin), log.changed, heads, options);
    Stream<Placed> found =
        audit.findings().stream().map(finding -> new Placed(finding.leafIndex().getAsLong(), finding));
    LongStream sizes =
        Stream.concat(log.held.stream().map(LogEntry::head), own.stream().map(each -> each.head.head()))
            .mapToLong(Checkpoint::size);
    long known = sizes.max().orElse(0);
    return new Log(
        origin,
        keys.ended(origin).map(head -> new LogReport.Ended(head.size(), known)),
        before(origin).flatMap(keys::ended).map(head -> new LogReport.Head(head.origin(), head.size())),
        audit.range().start(),
        audit.range().end(),
        within(audit, log.held),
        within(audit, handovers),
        audit.history().fitting().size(),
        own.stream()
            .map(
                each ->
                    new LogReport.Checked(each.name, each.head.head().size(), audit.history().agrees(each.head)))
            .toList(),
        Stream.concat(log.findings.stream(), found)
            .sorted(Comparator.comparingDouble(Placed::at))
            .map(Placed::finding)
            .toList());
  }

  private static int within(LogAudit audit, List<LogEntry> entries) {
    return (int) entries.stream().filter(entry -> audit.range().has(entry.index())).count();
  }

  /** Every log of a tenant but the last has ended. */
  private Optional<String> before(String origin) {
    int at = origins.indexOf(origin);
    return at > 0 ? Optional.of(origins.get(at - 1)) : Optional.empty();
  }

  /** Those of a log that hold: whatever else stands there fills no gap. */
  private List<LogEntry> handovers(String origin) {
    List<LogEntry> holding = new ArrayList<>();
    for (Handover handover : keys.handovers()) {
      TreeProof proof = handover.proof();
      if (!proof.checkpoint().origin().equals(origin)) {
        continue;
      }
      List<LogKey> signers = proof.note().signers(keys.ofLog(origin));
      if (signers != null && !signers.isEmpty() && proof.proves(handover.leaf())) {
        holding.add(entry(proof, handover.leaf(), signers));
      }
    }
    return holding;
  }

  private static LogEntry entry(TreeProof proof, byte[] leaf, List<LogKey> signers) {
    String origin = proof.checkpoint().origin();
    long recordedSize =
        signers.stream()
            .map(LogKey::compromisedLog)
            .mapToLong(log -> log != null && log.origin().equals(origin) ? log.size() : 0)
            .max()
            .orElse(0);
    return new LogEntry(proof, leaf, isTrusted(signers), recordedSize, null);
  }

  private static boolean isTrusted(List<LogKey> signers) {
    return signers.stream().anyMatch(key -> key.key().reason() == Reason.OK);
  }
}
