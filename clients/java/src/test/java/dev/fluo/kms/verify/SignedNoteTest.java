package dev.fluo.kms.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class SignedNoteTest {
  private static final String NOTE = "kms.example.com/acme\n5\nAAAA\n\n— kms.example.com/acme AAAAAAAA\n";
  private static final String OTHER = NOTE.replace("\n5\n", "\n9\n") + "— witness BBBBBBBB\n";

  @Test
  void readsNotesThatStandOneBehindTheOther() {
    for (String text :
        List.of(
            NOTE + OTHER,
            NOTE + "\n \n\t" + OTHER + "\n\n",
            NOTE + "\u3000\u2028" + OTHER,
            "\uFEFF" + (NOTE + OTHER).replace("\n", "\r\n"))) {
      assertEquals(List.of(NOTE, OTHER), SignedNote.parseAll(text).stream().map(SignedNote::whole).toList(), text);
    }
  }

  @Test
  void refusesATextThatHoldsAnythingElse() {
    for (String text :
        List.of(
            "",
            "\n",
            "hello\n",
            " ",
            NOTE.stripTrailing(),
            NOTE + "hello\n",
            "\n" + NOTE,
            NOTE.replace("acme\n5", "acme\r\n5\r").replace("\r\n", "\r"),
            NOTE.replace("\n5\n", "\n\n5\n"),
            NOTE.replace("AAAAAAAA", ""))) {
      assertEquals(List.of(), SignedNote.parseAll(text), text);
    }
  }

  /** Patterns that repeat a group would run out of stack. */
  @Test
  void readsAsManyLinesAsThereAre() {
    String longer = NOTE.replace("AAAA\n\n", "AAAA\n" + "x\n".repeat(20_000) + "\n");
    assertEquals(2, SignedNote.parseAll(longer + NOTE).size());
  }
}
