package dev.fluo.kms.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.fluo.kms.Vectors;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class LogTest {
  private static final String CHECKED =
      "The following checks were performed: each span's signature or log proof; the state of each key; "
          + "that no entry is missing, repeated or rewritten";
  private static final String NOT_SHOWN =
      "Not shown: that what a span says is true; spans never sent or sampled away; what came after the last entry; ";

  @TestFactory
  Stream<DynamicTest> findsInEachLogOfTheVectorsWhatIsWrongWithIt() throws Exception {
    return Vectors.elements(vectors())
        .map(vector -> DynamicTest.dynamicTest(Vectors.text(vector, "name"), () -> judge(vector)));
  }

  @Test
  void saysInLinesWhatItDidNotCheck() throws Exception {
    JsonObject vector = named("two spans swapped, in any order");
    String printed = printed(vector);
    assertEquals(
        List.of(
            "log kms.example.com/acme, entries 0 to 7: 6 spans, 1 handover, 1 handover that was not used",
            "  not checked, without a --checkpoint: whether the log was cut off behind entry 7, or written anew",
            "  not checked, with --any-order: the order of the spans",
            "  no problems",
            CHECKED + ".",
            NOT_SHOWN + "whether the log was cut off or written anew; whose the keys are."),
        printed.lines().toList());
  }

  @Test
  void saysInLinesWhatIsWrongAndWhichCheckpointsAgree() throws Exception {
    List<String> lines = printed(named("the last one removed, with a checkpoint")).lines().toList();
    assertEquals(
        "log kms.example.com/acme, entries 0 to 7: 5 spans, 1 handover, 1 handover that was not used", lines.get(0));
    assertTrue(lines.get(1).startsWith("  missing  entry 7  -  1 entry, after "), lines.get(1));
    assertEquals("  checkpoint checkpoint-0, of 8 entries, is not compared", lines.get(2));
    assertEquals("  1 problem, the first at entry 7", lines.get(3));
    assertEquals(
        List.of(
            CHECKED + "; the order of the spans; the kept checkpoints.",
            NOT_SHOWN + "that a checkpoint binds a party that kept it itself; whose the keys are."),
        lines.subList(4, lines.size()));
  }

  @Test
  void endsInWhatWasCheckedOnlyWhereALogWas() throws Exception {
    String pinned = printed(named("all of a log, from its first key"));
    assertTrue(
        pinned.endsWith(
            CHECKED
                + "; the order of the spans; that the keys follow from a --vkey.\n"
                + NOT_SHOWN
                + "whether the log was cut off or written anew.\n"),
        pinned);
    assertEquals("there are no spans of a log in the file\n", printed(named("no spans")));
    List<String> apart = printed(named("spans that are signed apart alone")).lines().toList();
    assertEquals(List.of("there are no spans of a log in the file"), apart.subList(1, apart.size()));
  }

  private static void judge(JsonObject vector) {
    JsonElement want = vector.get("want");
    if (want.isJsonPrimitive()) {
      assertEquals("refused", want.getAsString());
      assertThrows(LogException.class, () -> report(vector));
      return;
    }
    LogsReport report = new LogsReport(report(vector), performed(vector));
    JsonObject found = JsonParser.parseString(JsonWriter.indented(report.json())).getAsJsonObject();
    for (JsonElement log : found.getAsJsonArray("logs")) {
      Vectors.elements(log.getAsJsonObject().getAsJsonArray("findings")).forEach(finding -> finding.remove("message"));
    }
    assertEquals(want, found);
  }

  private static String printed(JsonObject vector) {
    Printed printed = new Printed();
    new LogsReport(report(vector), performed(vector)).print(printed);
    return printed.toString();
  }

  private static Performed performed(JsonObject vector) {
    JsonObject log = vector.getAsJsonObject("log");
    return new Performed(true, !log.has("anyOrder"), log.has("checkpoints"), vector.has("vkeys"));
  }

  private static LogReport report(JsonObject vector) {
    KeySet all = KeySet.parse(Vectors.text(vector, "jwks"));
    KeySet keys = vector.has("vkeys") ? all.trusting(texts(vector.getAsJsonArray("vkeys"))) : all;
    return new Verifier(keys).verifyLog(Vectors.base64(vector, "export"), options(vector));
  }

  private static LogOptions options(JsonObject vector) {
    JsonObject log = vector.getAsJsonObject("log");
    LogOptions options = new LogOptions().withTenant(vector.has("tenant") ? Vectors.text(vector, "tenant") : null);
    List<String> checkpoints = log.has("checkpoints") ? texts(log.getAsJsonArray("checkpoints")) : List.of();
    for (int i = 0; i < checkpoints.size(); i++) {
      options = options.withCheckpoint("checkpoint-" + i, checkpoints.get(i));
    }
    options = log.has("from") ? options.withFrom(log.get("from").getAsLong()) : options;
    options = log.has("to") ? options.withTo(log.get("to").getAsLong()) : options;
    return log.has("anyOrder") ? options.withAnyOrder() : options;
  }

  private static JsonObject named(String name) throws Exception {
    return Vectors.elements(vectors())
        .filter(vector -> Vectors.text(vector, "name").equals(name))
        .findFirst()
        .orElseThrow();
  }

  private static JsonArray vectors() throws Exception {
    return Vectors.read("log/logs.json").getAsJsonArray();
  }

  private static List<String> texts(JsonArray array) {
    return array.asList().stream().map(JsonElement::getAsString).toList();
  }
}
