package dev.fluo.kms.verify;

import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;

/**
 * C2SP tlog-checkpoint: a log's name, size and root, as the text of a note.
 *
 * @param origin {@code <issuer>/<tenant>}, or {@code <issuer>/<tenant>/<n>} where the log is not number 1
 * @param root 32 bytes
 */
record Checkpoint(String origin, long size, byte[] root) {
  private static final Pattern INDEX = Pattern.compile("0|[1-9][0-9]{0,15}");
  private static final long LARGEST = (1L << 53) - 1;

  /** Returns null for text that is no checkpoint. Lines behind the root mean nothing here; none may be empty. */
  static Checkpoint parse(String text) {
    if (!text.endsWith("\n")) {
      return null;
    }
    List<String> lines = Arrays.asList(text.substring(0, text.length() - 1).split("\n", -1));
    if (lines.size() < 3 || lines.contains("")) {
      return null;
    }
    long size = parseIndex(lines.get(1));
    byte[] root = Base64Text.decode(lines.get(2));
    return size < 0 || root == null || root.length != Sha256.BYTES ? null : new Checkpoint(lines.get(0), size, root);
  }

  /** A size or an index as the formats of logs write it: decimal, at most 2^53 − 1. Returns −1 for all else. */
  static long parseIndex(String text) {
    if (!INDEX.matcher(text).matches()) {
      return -1;
    }
    long index = Long.parseLong(text);
    return index > LARGEST ? -1 : index;
  }

  boolean isSame(Checkpoint other) {
    return origin.equals(other.origin) && size == other.size && Arrays.equals(root, other.root);
  }
}
