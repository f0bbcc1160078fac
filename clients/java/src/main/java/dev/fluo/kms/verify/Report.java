package dev.fluo.kms.verify;

import java.util.ArrayList;
import java.util.List;

/** What the command says of spans: aligned lines for people, or JSON, in the words of {@code fluo-kms verify}. */
final class Report {
  private Report() {}

  static String lines(List<Verdict> verdicts) {
    List<String[]> rows = new ArrayList<>();
    int nameWidth = 0;
    int reasonWidth = 0;
    for (Verdict verdict : verdicts) {
      String name = verdict.traceId().orElse("-") + "/" + verdict.spanId().orElse("-");
      rows.add(new String[] {name, verdict.reason().name(), about(verdict)});
      nameWidth = Math.max(nameWidth, name.length());
      reasonWidth = Math.max(reasonWidth, verdict.reason().name().length());
    }
    StringBuilder text = new StringBuilder();
    for (String[] row : rows) {
      String line = padded(row[0], nameWidth) + "  " + padded(row[1], reasonWidth) + "  " + row[2];
      text.append(oneLine(line).stripTrailing()).append('\n');
    }
    long verified = verdicts.stream().filter(Verdict::verified).count();
    long failed = verdicts.size() - verified;
    if (verdicts.isEmpty()) {
      return text.append("there are no spans in the file\n").toString();
    }
    text.append(verified).append(" of ").append(verdicts.size()).append(" verified");
    return text.append(failed > 0 ? ", " + failed + " failed\n" : "\n").toString();
  }

  static String json(List<Verdict> verdicts) {
    long verified = verdicts.stream().filter(Verdict::verified).count();
    StringBuilder text = new StringBuilder("{\n  \"verified\": ").append(verified);
    text.append(",\n  \"failed\": ").append(verdicts.size() - verified).append(",\n  \"spans\": [");
    String before = "\n";
    for (Verdict verdict : verdicts) {
      text.append(before).append("    {");
      before = ",\n";
      List<String> members = new ArrayList<>();
      verdict.traceId().ifPresent(id -> members.add(member("trace_id", id)));
      verdict.spanId().ifPresent(id -> members.add(member("span_id", id)));
      members.add("\"verified\": " + verdict.verified());
      members.add(member("reason", verdict.reason().name()));
      verdict.message().ifPresent(message -> members.add(member("message", message)));
      verdict.keyId().ifPresent(id -> members.add(member("key_id", id)));
      verdict.keyState().ifPresent(state -> members.add(member("key_state", state.name())));
      verdict.signedAt().ifPresent(time -> members.add(member("signed_at", time)));
      verdict.log().ifPresent(log -> members.add(member("log", log)));
      verdict.leafIndex().ifPresent(index -> members.add("\"leaf_index\": " + index));
      text.append("\n      ").append(String.join(",\n      ", members)).append("\n    }");
    }
    return text.append(verdicts.isEmpty() ? "]\n}\n" : "\n  ]\n}\n").toString();
  }

  private static String member(String name, String value) {
    StringBuilder text = new StringBuilder().append('"').append(name).append("\": ");
    CanonicalJson.string(text, value);
    return text.toString();
  }

  private static String about(Verdict verdict) {
    if (verdict.verified()) {
      StringBuilder about = new StringBuilder(verdict.signedAt().orElse(""));
      about.append("  ").append(verdict.keyId().orElse(""));
      about.append("  ").append(verdict.keyState().map(KeyState::name).orElse(""));
      verdict.leafIndex().ifPresent(index -> about.append("  entry ").append(index));
      return about.toString();
    }
    return verdict.message().isEmpty() && verdict.reason() == Reason.UNKNOWN_KEY
        ? "no such key of this tenant in the keys file"
        : verdict.explanation();
  }

  private static String padded(String text, int width) {
    return text + " ".repeat(width - text.length());
  }

  /** What others wrote stays on its line, and cannot steer the terminal. */
  static String oneLine(String text) {
    return text.replaceAll("\\p{Cc}", "?");
  }
}
