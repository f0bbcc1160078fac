package dev.fluo.kms.verify;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** Writes protobuf wire bytes. */
final class WireWriter {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  void varint(int number, long value) {
    raw(number << 3L);
    raw(value);
  }

  void fixed64(int number, long value) {
    raw(number << 3 | 1);
    for (int shift = 0; shift < 64; shift += 8) {
      out.write((int) (value >>> shift));
    }
  }

  void fixed32(int number, long value) {
    raw(number << 3 | 5);
    for (int shift = 0; shift < 32; shift += 8) {
      out.write((int) (value >>> shift));
    }
  }

  void bytes(int number, byte[] value) {
    raw(number << 3 | 2);
    raw(value.length);
    out.writeBytes(value);
  }

  void text(int number, String value) {
    bytes(number, value.getBytes(StandardCharsets.UTF_8));
  }

  byte[] toBytes() {
    return out.toByteArray();
  }

  private void raw(long value) {
    long rest = value;
    for (; (rest & ~0x7fL) != 0; rest >>>= 7) {
      out.write((int) (rest & 0x7f | 0x80));
    }
    out.write((int) rest);
  }
}
