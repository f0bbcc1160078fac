package dev.fluo.kms.conformance;

import java.util.Objects;

/** Counts what held and what did not, and says the latter. */
final class Checks {
  private final int mostShown;
  private int passed;
  private int failed;

  Checks(int mostShown) {
    this.mostShown = mostShown;
  }

  /** Something that may throw, which is a failure. */
  interface Step {
    void run() throws Exception;
  }

  void that(boolean holds, String what, Object why) {
    if (holds) {
      passed++;
    } else if (++failed <= mostShown) {
      System.out.println("FAIL " + what + ": " + why);
    }
  }

  void equal(Object wanted, Object found, String what) {
    that(Objects.deepEquals(wanted, found), what, "wanted " + wanted + ", found " + found);
  }

  /** Counts nothing unless the step throws. */
  void step(String what, Step step) {
    try {
      step.run();
    } catch (Exception | AssertionError e) {
      that(false, what, e);
    }
  }

  int finish() {
    System.out.println(passed + " passed, " + failed + " failed");
    return failed == 0 ? 0 : 1;
  }
}
