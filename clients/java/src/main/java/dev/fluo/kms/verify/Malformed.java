package dev.fluo.kms.verify;

/** Why something cannot be read: the path of the field that is wrong, and what is wrong with it. Never its value. */
final class Malformed extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String path;
  private final String text;

  Malformed(String text) {
    this("", text);
  }

  /** A fault in a field below the place where the reader stands. */
  Malformed(String path, String text) {
    // No stack trace: malformed input is no defect of the program, and may come in large numbers.
    super(null, null, false, false);
    this.path = path;
    this.text = text;
  }

  /** This fault, seen from the message around it. */
  Malformed within(String field) {
    return new Malformed(path.isEmpty() ? field : field + "." + path, text);
  }

  /** The path of the field that is wrong; empty for the outermost message. */
  String path() {
    return path;
  }

  /** What is wrong with it. */
  String text() {
    return text;
  }

  @Override
  public String getMessage() {
    return path.isEmpty() ? text : path + ": " + text;
  }
}
