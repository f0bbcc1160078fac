package dev.fluo.kms.conformance;

import dev.fluo.kms.Pii;
import java.util.Arrays;
import java.util.Base64;
import java.util.Objects;

/** The scenario's record. */
record Person(
    String id, @Pii("email") String email, @Pii("note") byte[] note, @Pii("alias") String alias, @Pii("phone") String phone) {
  static Person of(World record) {
    return new Person(
        record.text("id"),
        record.text("email"),
        Base64.getDecoder().decode(record.text("note")),
        record.text("alias"),
        record.textOr("phone", null));
  }

  boolean isSame(Person other) {
    return id.equals(other.id)
        && email.equals(other.email)
        && Arrays.equals(note, other.note)
        && alias.equals(other.alias)
        && Objects.equals(phone, other.phone);
  }
}
