package dev.fluo.kms.verify;

import java.util.List;

/**
 * Text for a terminal, which what others wrote cannot steer: controls, characters that turn the direction of text, and
 * separators of lines and paragraphs are shown as {@code ?}, in JSON as escapes.
 */
final class Printed {
  private final StringBuilder text = new StringBuilder();

  /** Adds a line. */
  void line(String line) {
    text.append(oneLine(line)).append('\n');
  }

  /** Adds rows as columns, two spaces apart, the last cell of a row ragged. */
  void table(String indent, List<List<String>> rows) {
    int columns = rows.stream().mapToInt(List::size).max().orElse(0);
    int[] widths = new int[columns];
    for (List<String> row : rows) {
      for (int i = 0; i < row.size() - 1; i++) {
        widths[i] = Math.max(widths[i], row.get(i).length());
      }
    }
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder(indent);
      for (int i = 0; i < row.size(); i++) {
        String cell = row.get(i);
        line.append(cell).append(i == row.size() - 1 ? "" : " ".repeat(widths[i] - cell.length() + 2));
      }
      line(line.toString().stripTrailing());
    }
  }

  /** Adds a tree as JSON. */
  void json(Object tree) {
    JsonWriter.indented(tree)
        .chars()
        .forEach(
            unit -> {
              if (unit != '\n' && isSteering(unit)) {
                text.append(String.format("\\u%04x", unit));
              } else {
                text.append((char) unit);
              }
            });
    text.append('\n');
  }

  static String oneLine(String line) {
    StringBuilder shown = new StringBuilder();
    line.chars().forEach(unit -> shown.append(isSteering(unit) ? '?' : (char) unit));
    return shown.toString();
  }

  /** C0, DEL, C1, all that Unicode calls Bidi_Control, LINE SEPARATOR and PARAGRAPH SEPARATOR. */
  private static boolean isSteering(int unit) {
    return Character.isISOControl(unit)
        || unit == 0x61c
        || unit == 0x200e
        || unit == 0x200f
        || unit >= 0x2028 && unit <= 0x202e
        || unit >= 0x2066 && unit <= 0x2069;
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
