package dev.fluo.kms.verify;

import dev.fluo.kms.verify.Merkle.Range;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** What the command says of spans, each for itself, and the entries of logs that they are. */
final class SpansReport {
  /** More ranges than anyone reads are counted. */
  private static final int SHOWN_RANGES = 4;

  private final List<Judged> spans;
  private final Performed performed;
  private final int verified;

  SpansReport(List<Judged> spans, Performed performed) {
    this.spans = spans;
    this.performed = performed;
    this.verified = (int) spans.stream().filter(span -> span.verdict().verified()).count();
  }

  boolean ok() {
    return verified > 0 && verified == spans.size();
  }

  void print(Printed out) {
    if (spans.isEmpty()) {
      out.line("there are no spans in the file");
      return;
    }
    int failed = spans.size() - verified;
    String third = verified == 0 ? "why not" : failed == 0 ? "signed at" : "signed at, or why not";
    List<List<String>> rows = new ArrayList<>();
    rows.add(
        verified > 0 ? List.of("span", "verdict", third, "key", "state", "log") : List.of("span", "verdict", third));
    spans.forEach(span -> rows.add(row(span)));
    out.table("", rows);
    logLines(out);
    out.line(verified + " of " + spans.size() + " verified" + (failed > 0 ? ", " + failed + " failed" : ""));
    performed.print(out);
  }

  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("verified", verified);
    json.put("failed", spans.size() - verified);
    json.put("spans", spans.stream().map(SpansReport::json).toList());
    return json;
  }

  private static Map<String, Object> json(Judged span) {
    Verdict verdict = span.verdict();
    Map<String, Object> json = new LinkedHashMap<>();
    verdict.traceId().ifPresent(id -> json.put("trace_id", id));
    verdict.spanId().ifPresent(id -> json.put("span_id", id));
    json.put("verified", verdict.verified());
    json.put("reason", reason(span));
    verdict.message().ifPresent(message -> json.put("message", message));
    verdict.keyId().ifPresent(id -> json.put("key_id", id));
    verdict.keyState().ifPresent(state -> json.put("key_state", state.name()));
    verdict.signedAt().ifPresent(time -> json.put("signed_at", time));
    verdict.log().ifPresent(log -> json.put("log", log));
    verdict.leafIndex().ifPresent(index -> json.put("leaf_index", index));
    return json;
  }

  private static List<String> row(Judged span) {
    Verdict verdict = span.verdict();
    if (!verdict.verified()) {
      return List.of(span.name(), reason(span), verdict.explanation());
    }
    return List.of(
        span.name(),
        reason(span),
        verdict.signedAt().orElse(""),
        verdict.keyId().orElse(""),
        verdict.keyState().map(KeyState::name).orElse(""),
        verdict.leafIndex().isPresent() ? "entry " + verdict.leafIndex().getAsLong() : "");
  }

  /** The library does not tell a span without evidence from one that lost some of its attributes. */
  private static String reason(Judged span) {
    return span.isUnsigned() ? "UNSIGNED" : span.verdict().reason().name();
  }

  /** Adds a line for each log with verified spans. */
  private void logLines(Printed out) {
    String without = verified == spans.size() ? "in this file" : "verified here";
    spans.stream()
        .map(Judged::verdict)
        .filter(verdict -> verdict.verified() && verdict.log().isPresent())
        .collect(
            Collectors.groupingBy(
                verdict -> verdict.log().orElseThrow(),
                LinkedHashMap::new,
                Collectors.mapping(verdict -> verdict.leafIndex().getAsLong(), Collectors.toCollection(TreeSet::new))))
        .forEach(
            (log, indices) ->
                out.line("log " + log + ": " + entries(indices, without) + "; --log checks that none is missing"));
  }

  /** {@code entries 0 to 4 and 7 (2 between are not in this file)}, where the last words are {@code without}. */
  private static String entries(TreeSet<Long> indices, String without) {
    List<Range> ranges = new ArrayList<>();
    for (long index : indices) {
      Range last = ranges.isEmpty() ? null : ranges.get(ranges.size() - 1);
      if (last != null && last.end() == index) {
        ranges.set(ranges.size() - 1, new Range(last.start(), index + 1));
      } else {
        ranges.add(new Range(index, index + 1));
      }
    }
    String named =
        ranges.size() > SHOWN_RANGES
            ? indices.size() + " of the entries " + indices.first() + " to " + indices.last()
            : (indices.size() == 1 ? "entry " : "entries ") + listed(ranges);
    long between = indices.last() - indices.first() + 1 - indices.size();
    String lacking = LogReport.counted(between, "between is", "between are") + " not " + without;
    return between == 0 ? named : named + " (" + lacking + ")";
  }

  private static String listed(List<Range> ranges) {
    List<String> texts =
        ranges.stream()
            .map(range -> range.start() + (range.end() - range.start() == 1 ? "" : " to " + (range.end() - 1)))
            .toList();
    int last = texts.size() - 1;
    return last == 0 ? texts.get(0) : String.join(", ", texts.subList(0, last)) + " and " + texts.get(last);
  }
}
