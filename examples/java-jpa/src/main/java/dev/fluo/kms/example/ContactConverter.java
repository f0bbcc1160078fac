package dev.fluo.kms.example;

import dev.fluo.kms.KmsClient;
import dev.fluo.kms.jpa.PiiConverter;
import jakarta.persistence.Converter;
import java.util.Map;

/** Keeps a contact in one column. */
@Converter
public class ContactConverter extends PiiConverter<Contact> {
  private static final KmsClient KMS = KmsClient.builder("localhost:9000").insecure().build();

  /** Hibernate calls it. In Spring the converter is a bean, whose constructor takes the client. */
  public ContactConverter() {
    super(Contact.class, () -> KMS, () -> "acme", Map.of("table", "customers", "column", "contact"));
  }

  static void close() {
    KMS.close();
  }
}
