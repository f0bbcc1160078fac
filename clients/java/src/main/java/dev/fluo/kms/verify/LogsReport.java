package dev.fluo.kms.verify;

import dev.fluo.kms.verify.LogReport.Checked;
import dev.fluo.kms.verify.LogReport.Ended;
import dev.fluo.kms.verify.LogReport.Finding;
import dev.fluo.kms.verify.LogReport.Log;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What the command says of logs. */
final class LogsReport {
  private static final String WHY_ENDED = " when a backup was restored, or a loss was accepted";

  private final LogReport report;
  private final Performed performed;

  LogsReport(LogReport report, Performed performed) {
    this.report = report;
    this.performed = performed;
  }

  void print(Printed out) {
    report.logs().forEach(log -> print(out, log));
    if (report.signedApart() > 0) {
      out.line(
          LogReport.counted(report.signedApart(), "span is", "spans are")
              + " signed apart, in no log: whether others are missing does not show");
    }
    if (report.logs().isEmpty()) {
      out.line("there are no spans of a log in the file");
    } else {
      performed.print(out);
    }
  }

  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("ok", report.ok());
    json.put("logs", report.logs().stream().map(LogsReport::json).toList());
    json.put("signed_apart", report.signedApart());
    return json;
  }

  private static Map<String, Object> json(Log log) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("origin", log.origin());
    log.ended().ifPresent(ended -> json.put("ended_at", ended.size()));
    log.follows().ifPresent(head -> json.put("follows", head.origin()));
    json.put("from", log.from());
    json.put("to", log.to());
    json.put("spans", log.spans());
    json.put("handovers", log.handovers());
    json.put("announced", log.announced());
    json.put("checkpoints", log.checkpoints().stream().map(LogsReport::json).toList());
    json.put("findings", log.findings().stream().map(LogsReport::json).toList());
    return json;
  }

  private static Map<String, Object> json(Checked checkpoint) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("file", checkpoint.name());
    json.put("size", checkpoint.size());
    json.put("agrees", checkpoint.agrees().orElse(null));
    return json;
  }

  private static Map<String, Object> json(Finding finding) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("what", what(finding));
    json.put("leaf_index", finding.leafIndex().isPresent() ? finding.leafIndex().getAsLong() : null);
    json.put("count", finding.count());
    json.put("span", finding.span().orElse(null));
    json.put("message", finding.message());
    return json;
  }

  private void print(Printed out, Log log) {
    boolean isEmpty = log.from() == log.to();
    String entries = isEmpty ? "no entries" : "entries " + log.from() + " to " + (log.to() - 1);
    out.line("log " + log.origin() + ", " + entries + ": " + counts(log));
    log.follows()
        .ifPresent(
            head -> out.line("  it follows " + head.origin() + ", which ended at " + entries(head.size()) + WHY_ENDED));
    log.ended().ifPresent(ended -> out.line("  it ended at " + entries(ended.size()) + WHY_ENDED + lost(ended)));
    out.table("  ", log.findings().stream().map(LogsReport::row).toList());
    for (Checked each : log.checkpoints()) {
      String says = each.agrees().map(agrees -> agrees ? "agrees" : "does not agree").orElse("is not compared");
      out.line("  checkpoint " + each.name() + ", of " + entries(each.size()) + ", " + says);
    }
    if (log.from() > 0) {
      out.line("  not checked, before entry " + log.from() + ": whether any is missing");
    }
    if (log.checkpoints().isEmpty()) {
      String cutOff = isEmpty ? "" : "cut off behind entry " + (log.to() - 1) + ", or ";
      out.line("  not checked, without a --checkpoint: whether the log was " + cutOff + "written anew");
    }
    if (!performed.ordered()) {
      out.line("  not checked, with --any-order: the order of the spans");
    }
    out.line("  " + problems(log));
  }

  private static String counts(Log log) {
    String handovers =
        log.handovers() > 0 ? ", " + LogReport.counted(log.handovers(), "handover", "handovers") : "";
    String unused =
        log.announced() > 0
            ? ", "
                + LogReport.counted(
                    log.announced(), "handover that was not used", "handovers that were not used")
            : "";
    return LogReport.counted(log.spans(), "span", "spans") + handovers + unused;
  }

  private static String lost(Ended ended) {
    return ended.known() > ended.size()
        ? "; entries %d to %d, which are in a checkpoint here, are lost to the service"
            .formatted(ended.size(), ended.known() - 1)
        : "";
  }

  private static List<String> row(Finding finding) {
    String index = finding.leafIndex().isPresent() ? String.valueOf(finding.leafIndex().getAsLong()) : "-";
    return List.of(what(finding), "entry " + index, finding.span().orElse("-"), finding.message());
  }

  private static String problems(Log log) {
    List<Finding> findings = log.findings();
    if (findings.isEmpty()) {
      return log.spans() == 0 ? "no spans" : "no problems";
    }
    Finding first = findings.get(0);
    String index = first.leafIndex().isPresent() ? String.valueOf(first.leafIndex().getAsLong()) : "-";
    return LogReport.counted(findings.size(), "problem", "problems")
        + ", the first at "
        + first.span().orElse("entry " + index);
  }

  private static String entries(long count) {
    return LogReport.counted(count, "entry", "entries");
  }

  private static String what(Finding finding) {
    return finding.kind().name().toLowerCase(Locale.ROOT);
  }
}
