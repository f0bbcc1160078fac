package dev.fluo.kms.testing;

import com.google.protobuf.ByteString;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;

/**
 * What binds a ciphertext to its place, in one spelling: a label, the tenant, the field's name (empty for a data key) and
 * the number of pairs, then each pair, sorted by the bytes of the names. Each part has its length in four bytes before it.
 */
final class CanonicalContext {
  private static final int MOST_PAIRS = 16;
  private static final int MOST_BYTES = 4096;
  private static final byte[] LABEL = "fluo-kms/context/v1".getBytes(StandardCharsets.US_ASCII);

  private final String tenant;
  private final byte[] pairs;

  /** Throws INVALID_ARGUMENT for too many pairs, and for too long ones. */
  CanonicalContext(String tenant, Map<String, String> context) {
    if (context.size() > MOST_PAIRS) {
      throw Refusal.invalidField(
          "encryption_context", "at most " + MOST_PAIRS + " pairs, not " + context.size());
    }
    // Unsigned order of UTF-8, which beyond the BMP is not that of Java's strings.
    Map<ByteString, ByteString> sorted = new TreeMap<>(ByteString.unsignedLexicographicalComparator());
    int bytes = 0;
    for (Map.Entry<String, String> pair : context.entrySet()) {
      ByteString name = ByteString.copyFromUtf8(pair.getKey());
      ByteString value = ByteString.copyFromUtf8(pair.getValue());
      bytes += name.size() + value.size();
      sorted.put(name, value);
    }
    if (bytes > MOST_BYTES) {
      throw Refusal.invalidField(
          "encryption_context", "keys and values are at most " + MOST_BYTES + " bytes together");
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(number(sorted.size()));
    sorted.forEach(
        (name, value) -> {
          write(out, name.toByteArray());
          write(out, value.toByteArray());
        });
    this.tenant = tenant;
    this.pairs = out.toByteArray();
  }

  /** Returns the bytes for a field; those of a data key for an empty name. */
  byte[] of(String field) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(LABEL);
    write(out, tenant.getBytes(StandardCharsets.UTF_8));
    write(out, field.getBytes(StandardCharsets.UTF_8));
    out.writeBytes(pairs);
    return out.toByteArray();
  }

  private static void write(ByteArrayOutputStream out, byte[] part) {
    out.writeBytes(number(part.length));
    out.writeBytes(part);
  }

  private static byte[] number(int number) {
    return ByteBuffer.allocate(Integer.BYTES).putInt(number).array();
  }
}
