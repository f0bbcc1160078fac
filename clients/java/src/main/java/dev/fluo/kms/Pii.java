package dev.fluo.kms;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Marks a component of a record as personal data, for {@link PiiRecords}: a {@code String} or a {@code byte[]}.
 *
 * <pre>{@code
 * record Customer(String id, @Pii("email") String email) {}
 * }</pre>
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Pii {
  /** Name of the field, by which its token is bound: it opens under no other. */
  String value();
}
