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

  /**
   * Returns whether the leaf is in this tree at the index, by its path (RFC 9162, 2.1.3.2), which must have just the
   * hashes that it needs.
   */
  boolean includes(byte[] leaf, long index, List<byte[]> path) {
    if (index >= size) {
      return false;
    }
    long node = index;
    long last = size - 1;
    byte[] hash = leaf;
    for (byte[] sibling : path) {
      if (last == 0) {
        return false;
      }
      if ((node & 1) == 1 || node == last) {
        hash = node(sibling, hash);
        // The last node of a level may have no sibling, and is then that of the next.
        while ((node & 1) == 0 && node != 0) {
          node >>>= 1;
          last >>>= 1;
        }
      } else {
        hash = node(hash, sibling);
      }
      node >>>= 1;
      last >>>= 1;
    }
    return last == 0 && Arrays.equals(hash, root);
  }

  /** RFC 6962, 2.1: the hash of a leaf's entry. */
  static byte[] leaf(byte[] entry) {
    return Sha256.of(new byte[] {0}, entry);
  }

  private static byte[] node(byte[] left, byte[] right) {
    return Sha256.of(new byte[] {1}, left, right);
  }
}
