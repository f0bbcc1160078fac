package dev.fluo.kms.verify;

import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What is said of the logs that spans are of.
 *
 * @param logs each log that spans or kept checkpoints are of
 * @param signedApart spans that a signature of their own verifies: no log has them, so whether others are missing does
 *     not show
 */
public record LogReport(List<Log> logs, int signedApart) {
  /** Returns whether there is a log, and each has spans and nothing that is wrong. */
  public boolean ok() {
    return !logs.isEmpty() && logs.stream().allMatch(log -> log.spans() > 0 && log.findings().isEmpty());
  }

  /**
   * What is said of one log, of its entries {@code from} until before {@code to}.
   *
   * @param ended where the log ended, because a backup was restored or a loss was accepted
   * @param follows the log that ended before this one began
   * @param spans how many spans there are whose proofs hold
   * @param handovers how many handovers there are
   * @param announced how many handovers that were not used fill a place
   * @param checkpoints of those that were kept
   * @param findings in the order of the log
   */
  public record Log(
      String origin,
      Optional<Ended> ended,
      Optional<Head> follows,
      long from,
      long to,
      int spans,
      int handovers,
      int announced,
      List<Checked> checkpoints,
      List<Finding> findings) {}

  /**
   * Where a log ended.
   *
   * @param size how many entries it has
   * @param known the size of the largest checkpoint at hand: entries past the end are lost to the service
   */
  public record Ended(long size, long known) {}

  /** The name of a log, and how many entries it has. */
  public record Head(String origin, long size) {}

  /**
   * A kept checkpoint.
   *
   * @param name as it was given
   * @param agrees empty where the spans do not go there
   */
  public record Checked(String name, long size, Optional<Boolean> agrees) {}

  /**
   * Something that is wrong.
   *
   * @param leafIndex where in the log it begins; empty for a span that does not even claim a place
   * @param count how many entries it may be about
   * @param span the first span that it is about, {@code <trace id>/<span id>}; empty where that is not there
   * @param message the rest of a sentence that begins with the kind; the text may change
   */
  public record Finding(Kind kind, OptionalLong leafIndex, long count, Optional<String> span, String message) {}

  /** What may be wrong. */
  public enum Kind {
    /** Entries are not there. */
    MISSING,
    /** A span or its proof was altered. */
    CHANGED,
    /** A second span stands in a place. */
    REPEATED,
    /** A span stands where another is due. */
    REORDERED,
    /** Entries are others than a checkpoint, or a later entry's proof, is of. */
    REWRITTEN,
    /** A compromised key alone signed. */
    COMPROMISED,
    /** No key of the set signed, or another tenant's. */
    FOREIGN,
    /** The key that signed never became active. */
    UNPROVEN,
    /** A span without evidence, or that cannot be read. */
    UNREADABLE
  }

  static String counted(long count, String one, String many) {
    return count + " " + (count == 1 ? one : many);
  }
}
