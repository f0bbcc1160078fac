package dev.fluo.kms.verify;

import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The entry of a log that names the signing key that follows another, and its proof, in a checkpoint that both keys
 * signed. Nothing of it is verified.
 *
 * @param to the key that is handed over to
 */
record Handover(VerifierKey to, byte[] leaf, TreeProof proof) {
  private static final int MOST_BYTES = 4096;
  private static final Pattern PARTS =
      Pattern.compile(
          "\"fromKeyId\":\"([0-9a-f]{32})\",\"signedAt\":\"([0-9TZ:.-]{24})\",\"tenant\":\"("
              + Statement.TENANT
              + ")\",\"toKeyId\":\"([0-9a-f]{32})\",\"toVkey\":\"([!#-\\[\\]-~]+)\".*\"sha256\":\"([0-9a-f]{64})\"");

  /** Returns null where entry or proof is not in its form. */
  static Handover parse(byte[] entry, String proofText) {
    VerifierKey to = parseEntry(entry);
    TreeProof proof = TreeProof.parse(proofText);
    return to == null || proof == null ? null : new Handover(to, Merkle.leaf(entry), proof);
  }

  /** Returns the key that is handed over to; null for bytes that are no handover, or whose key and digest differ. */
  static VerifierKey parseEntry(byte[] entry) {
    String text = Statement.textOf(entry, MOST_BYTES);
    Matcher parts = PARTS.matcher(text);
    if (!parts.find() || SignedAt.parse(parts.group(2)) == null) {
      return null;
    }
    VerifierKey to = VerifierKey.parse(parts.group(5));
    if (to == null || !HexFormat.of().formatHex(Sha256.of(to.publicKey())).equals(parts.group(6))) {
      return null;
    }
    String written =
        "{\"_type\":\"%s\",\"predicate\":{\"fromKeyId\":\"%s\",\"signedAt\":\"%s\",\"tenant\":\"%s\",\"toKeyId\":\"%s\",\"toVkey\":\"%s\"},\"predicateType\":\"https://fluo.dev/kms/key-handover/v1\",\"subject\":[{\"digest\":{\"sha256\":\"%s\"},\"name\":\"%s\"}]}"
            .formatted(
                Statement.TYPE,
                parts.group(1),
                parts.group(2),
                parts.group(3),
                parts.group(4),
                parts.group(5),
                parts.group(6),
                parts.group(4));
    return written.equals(text) ? to : null;
  }

  /** Returns whether a key that is trusted hands over: not one that was marked as compromised, which could to anybody. */
  boolean holds(List<LogKey> keys, List<LogKey> trusted) {
    if (!to.name().equals(proof.checkpoint().origin()) || !proof.proves(leaf)) {
      return false;
    }
    List<LogKey> signers =
        proof.note().signers(keys.stream().filter(key -> key.name().equals(proof.checkpoint().origin())).toList());
    return signers != null
        && signers.stream().anyMatch(key -> trusted.contains(key) && key.key().reason() == Reason.OK)
        && signers.stream().anyMatch(key -> Arrays.equals(key.key().publicKey(), to.publicKey()));
  }
}
