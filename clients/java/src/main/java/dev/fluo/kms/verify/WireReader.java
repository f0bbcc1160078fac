package dev.fluo.kms.verify;

import java.util.Arrays;

/**
 * A cursor over protobuf wire bytes, strict where parsers differ: a tag or a length has at most five bytes, a varint
 * fits its type, a bool is 0 or 1, text is UTF-8. Non-minimal varints are read: they change no value. Each read stays
 * below {@code end}, the end of its message.
 */
final class WireReader {
  private static final int LONGEST_TAG = 5;

  final byte[] bytes;
  int at;

  WireReader(byte[] bytes, int start) {
    this.bytes = bytes;
    this.at = start;
  }

  /** Returns {@code field number << 3 | wire type}. */
  int tag(int end) {
    int start = at;
    long tag = varint(end);
    if (tag >>> 32 != 0 || at - start > LONGEST_TAG) {
      throw new Malformed("a field's tag is longer than 32 bits; encode the message again");
    }
    if (tag < 8) {
      throw new Malformed("field number 0 does not exist; encode the message again");
    }
    return (int) tag;
  }

  /** Reads the length of a field, stops at its first byte, and returns where it ends. */
  int fieldEnd(int end) {
    int start = at;
    long length = varint(end);
    if (length >>> 32 != 0 || at - start > LONGEST_TAG) {
      throw new Malformed("a length is longer than 32 bits; encode the message again");
    }
    if (length > end - at) {
      throw truncated();
    }
    return at + (int) length;
  }

  /** Returns the value without sign, as a {@code long} from 0 to 2^32 − 1. */
  long uint32(int end) {
    long value = varint(end);
    if (value >>> 32 != 0) {
      throw new Malformed("does not fit into 32 bits");
    }
    return value;
  }

  /** Reads an enum of the values 0 to {@code last}. */
  long enumValue(int end, int last) {
    long value = varint(end);
    if (value < 0 || value > last) {
      throw new Malformed("is not one of the enum's numbers, 0 to " + last);
    }
    return value;
  }

  boolean bool(int end) {
    long value = varint(end);
    if (value != 0 && value != 1) {
      throw new Malformed("a bool is 0 or 1 on the wire");
    }
    return value == 1;
  }

  /** All 64 bits of a varint: an int64 as it is, a uint64 as Java's unsigned methods take it. */
  long varint(int end) {
    long value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at >= end) {
        throw truncated();
      }
      long bits = bytes[at++];
      if (shift == 63 && (bits & 0x7f) > 1) {
        break;
      }
      value |= (bits & 0x7f) << shift;
      if (bits >= 0) {
        return value;
      }
    }
    throw new Malformed("a varint is longer than 64 bits");
  }

  long fixed64(int end) {
    return fixed(end, 8);
  }

  /** Returns the value without sign. */
  long fixed32(int end) {
    return fixed(end, 4);
  }

  /** Reads a length-delimited field into an array of its own. */
  byte[] field(int end) {
    int stop = fieldEnd(end);
    byte[] field = Arrays.copyOfRange(bytes, at, stop);
    at = stop;
    return field;
  }

  String text(int end) {
    int stop = fieldEnd(end);
    String text = Utf8.decode(bytes, at, stop);
    at = stop;
    if (text == null) {
      throw new Malformed("is not valid UTF-8; encode the text as UTF-8, or send it as bytes");
    }
    return text;
  }

  private long fixed(int end, int length) {
    if (length > end - at) {
      throw truncated();
    }
    long value = 0;
    for (int i = length - 1; i >= 0; i--) {
      value = value << 8 | (bytes[at + i] & 0xff);
    }
    at += length;
    return value;
  }

  private static Malformed truncated() {
    return new Malformed("ends before its length says; send the whole message");
  }
}
