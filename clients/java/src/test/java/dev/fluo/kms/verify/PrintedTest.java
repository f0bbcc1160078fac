package dev.fluo.kms.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PrintedTest {
  private static final String STEERING =
      "\u0000\b\t\n\r\u001b\u007f\u0085\u009b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069";

  @Test
  void showsWhatSteersATerminalAsQuestionMarks() {
    Printed printed = new Printed();
    printed.line("a" + STEERING + "b\u200d\u2030é");
    assertEquals("a" + "?".repeat(STEERING.length()) + "b\u200d\u2030é\n", printed.toString());
  }

  @Test
  void escapesItInJson() {
    Printed printed = new Printed();
    printed.json(Map.of("a", STEERING));
    assertEquals(
        "{\n  \"a\": \"\\u0000\\b\\t\\n\\r\\u001b\\u007f\\u0085\\u009b\\u061c\\u200e\\u200f\\u2028\\u2029\\u202a"
            + "\\u202e\\u2066\\u2069\"\n}\n",
        printed.toString());
  }

  @Test
  void indentsJsonAsTheServiceDoes() {
    Printed printed = new Printed();
    printed.json(Arrays.asList(null, true, 1, List.of(), Map.of(), List.of(Map.of("b", "\"\\"))));
    assertEquals(
        "[\n  null,\n  true,\n  1,\n  [],\n  {},\n  [\n    {\n      \"b\": \"\\\"\\\\\"\n    }\n  ]\n]\n",
        printed.toString());
  }

  @Test
  void alignsAllButTheLastCellOfARow() {
    Printed printed = new Printed();
    printed.table(" ", List.of(List.of("a", "b", "long"), List.of("longer", ""), List.of("c", "d", "")));
    assertEquals(" a       b  long\n longer\n c       d\n", printed.toString());
  }
}
