package dev.fluo.kms.verify;

import java.util.ArrayList;
import java.util.List;

/**
 * What was asked of the command.
 *
 * @param log whether the spans were to be all of their logs', or each is for itself
 * @param ordered whether they were to be in the log's order
 * @param kept whether checkpoints were given
 * @param pinned whether verifier keys were given
 */
record Performed(boolean log, boolean ordered, boolean kept, boolean pinned) {
  /** Prints what was checked, and what no check shows, whatever came of it. */
  void print(Printed out) {
    out.line("The following checks were performed: " + String.join("; ", checks()) + ".");
    out.line("Not shown: " + String.join("; ", limits()) + ".");
  }

  private List<String> checks() {
    List<String> checks = new ArrayList<>(List.of("each span's signature or log proof", "the state of each key"));
    if (log) {
      checks.add("that no entry is missing, repeated or rewritten");
    }
    if (log && ordered) {
      checks.add("the order of the spans");
    }
    if (kept) {
      checks.add("the kept checkpoints");
    }
    if (pinned) {
      checks.add("that the keys follow from a --vkey");
    }
    return checks;
  }

  private List<String> limits() {
    List<String> limits = new ArrayList<>(List.of("that what a span says is true", "spans never sent or sampled away"));
    limits.add(log ? "what came after the last entry" : "whether spans are missing");
    if (log && !kept) {
      limits.add("whether the log was cut off or written anew");
    }
    if (kept) {
      limits.add("that a checkpoint binds a party that kept it itself");
    }
    if (!pinned) {
      limits.add("whose the keys are");
    }
    return limits;
  }
}
