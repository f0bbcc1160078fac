import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Scanner;

/** Spells instants, milliseconds since 1970 a line of standard input, as Java's own classes do: a line each, tabs between. */
class Spell {
  public static void main(String[] arguments) {
    Scanner lines = new Scanner(System.in);
    while (lines.hasNextLong()) {
      Instant at = Instant.ofEpochMilli(lines.nextLong());
      System.out.println(at + "\t" + DateTimeFormatter.ISO_OFFSET_DATE_TIME.format(at.atOffset(ZoneOffset.UTC)));
    }
  }
}
