package dev.fluo.kms.verify;

/** Reads the fields of one protobuf message, of which each singular one may be there once. */
abstract class MessageReader {
  private final String[] names;
  private final int repeated;
  private final int[] counts;

  /**
   * @param repeated a bit for the number of each repeated field
   * @param names proto names by field number; null where there is no such field
   */
  MessageReader(int repeated, String... names) {
    this.names = names;
    this.repeated = repeated;
    this.counts = new int[names.length];
  }

  /** Reads the field of a tag; returns false for a tag that the message does not have. */
  abstract boolean field(WireReader wire, int tag, int end);

  final void read(WireReader wire, int end) {
    while (wire.at < end) {
      int tag = wire.tag(end);
      int number = tag >>> 3;
      String name = number < names.length ? names[number] : null;
      try {
        if (!field(wire, tag, end)) {
          throw unexpected(tag, name);
        }
        if ((repeated >>> number & 1) == 0 && counts[number] > 0) {
          throw new Malformed("is there twice, and parsers differ on which counts; send it once");
        }
        counts[number]++;
      } catch (Malformed e) {
        if (name == null) {
          throw e;
        }
        throw e.within((repeated >>> number & 1) == 0 ? name : name + "[" + counts[number] + "]");
      }
    }
  }

  private static Malformed unexpected(int tag, String name) {
    int wireType = tag & 7;
    if (wireType == 3 || wireType == 4) {
      return new Malformed("groups are not part of OTLP; leave them out");
    }
    return new Malformed(
        name != null
            ? "wire type " + wireType + " is not the field's own; encode it as the proto says"
            : "field number " + (tag >>> 3) + " is unknown and could not be signed; leave it out");
  }
}
