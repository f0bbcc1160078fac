package dev.fluo.kms.verify;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** UTF-8, or nothing: a replacement character would let two different texts look the same. */
final class Utf8 {
  private Utf8() {}

  /** Returns null for bytes that are not UTF-8. */
  static String decode(byte[] bytes, int start, int end) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes, start, end - start)).toString();
    } catch (CharacterCodingException e) {
      return null;
    }
  }

  static String decode(byte[] bytes) {
    return decode(bytes, 0, bytes.length);
  }
}
