package dev.fluo.kms.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.fluo.kms.verify.LogReport;
import dev.fluo.kms.verify.LogReport.Checked;
import dev.fluo.kms.verify.LogReport.Finding;
import dev.fluo.kms.verify.LogReport.Log;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

/** The result of {@code verifyLog}, in the words of the cases. */
final class LogWords {
  private LogWords() {}

  static JsonObject of(LogReport report) {
    JsonObject words = new JsonObject();
    words.addProperty("ok", report.ok());
    words.add("logs", list(report.logs(), LogWords::log));
    words.addProperty("signed_apart", report.signedApart());
    return words;
  }

  private static JsonObject log(Log log) {
    JsonObject words = new JsonObject();
    words.addProperty("origin", log.origin());
    log.ended().ifPresent(ended -> words.addProperty("ended_at", ended.size()));
    log.follows().ifPresent(head -> words.addProperty("follows", head.origin()));
    words.addProperty("from", log.from());
    words.addProperty("to", log.to());
    words.addProperty("spans", log.spans());
    words.addProperty("handovers", log.handovers());
    words.addProperty("announced", log.announced());
    words.add("checkpoints", list(log.checkpoints(), LogWords::checkpoint));
    words.add("findings", list(log.findings(), LogWords::finding));
    return words;
  }

  private static JsonObject checkpoint(Checked checkpoint) {
    JsonObject words = new JsonObject();
    words.addProperty("file", checkpoint.name());
    words.addProperty("size", checkpoint.size());
    words.addProperty("agrees", checkpoint.agrees().orElse(null));
    return words;
  }

  private static JsonObject finding(Finding finding) {
    JsonObject words = new JsonObject();
    words.addProperty("what", finding.kind().name().toLowerCase(Locale.ROOT));
    words.add(
        "leaf_index",
        finding.leafIndex().isPresent() ? new JsonPrimitive(finding.leafIndex().getAsLong()) : JsonNull.INSTANCE);
    words.addProperty("count", finding.count());
    words.addProperty("span", finding.span().orElse(null));
    return words;
  }

  private static <T> JsonArray list(List<T> items, Function<T, JsonObject> words) {
    JsonArray list = new JsonArray();
    items.forEach(item -> list.add(words.apply(item)));
    return list;
  }
}
