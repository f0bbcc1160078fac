package dev.fluo.kms.verify;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * C2SP tlog-proof in its parts: that an entry is in a log, as text that verifies offline. Nothing of it is verified.
 *
 * @param index the entry's place
 * @param path hashes of 32 bytes, from the leaf up
 * @param checkpoint the log's head
 * @param note the checkpoint, as it was signed
 */
record TreeProof(long index, List<byte[]> path, Checkpoint checkpoint, SignedNote note) {
  /** Names the format, as a proof's first line and as {@code audit.integrity.algorithm}. */
  static final String FORMAT = "c2sp.org/tlog-proof@v1";

  /** No tree has more levels. */
  private static final int MOST_HASHES = 53;

  /** Returns null for text that is no proof with a checkpoint in it. Extra data is passed over. */
  static TreeProof parse(String text) {
    int end = text.indexOf("\n\n");
    List<String> lines = Arrays.asList(text.substring(0, Math.max(end, 0)).split("\n", -1));
    if (!lines.get(0).equals(FORMAT)) {
      return null;
    }
    int at = 1;
    if (at < lines.size() && lines.get(at).startsWith("extra ")) {
      if (Base64Text.decode(lines.get(at).substring("extra ".length())) == null) {
        return null;
      }
      at++;
    }
    if (at == lines.size() || !lines.get(at).startsWith("index ")) {
      return null;
    }
    long index = Checkpoint.parseIndex(lines.get(at).substring("index ".length()));
    at++;
    if (index < 0 || lines.size() - at > MOST_HASHES) {
      return null;
    }
    List<byte[]> path = new ArrayList<>();
    for (String line : lines.subList(at, lines.size())) {
      byte[] hash = Base64Text.decode(line);
      if (hash == null || hash.length != Sha256.BYTES) {
        return null;
      }
      path.add(hash);
    }
    SignedNote note = SignedNote.parse(text.substring(end + 2));
    Checkpoint checkpoint = note == null ? null : Checkpoint.parse(note.text());
    return checkpoint == null ? null : new TreeProof(index, path, checkpoint, note);
  }

  boolean proves(byte[] leaf) {
    return Merkle.includes(checkpoint.size(), checkpoint.root(), leaf, index, path);
  }
}
