package dev.fluo.kms.jpa;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.fluo.kms.Kms;
import dev.fluo.kms.Pii;
import dev.fluo.kms.PiiException;
import dev.fluo.kms.testing.FakeKms;
import dev.fluo.kms.v1.DecryptPiiRequest;
import dev.fluo.kms.v1.DecryptPiiResponse;
import dev.fluo.kms.v1.EncryptPiiRequest;
import dev.fluo.kms.v1.EncryptPiiResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PiiConverterTest {
  record Contact(@Pii("email") String email, @Pii("phone") String phone, @Pii("photo") byte[] photo) {}

  record Unmarked(@Pii("email") String email, String city) {}

  record Number(@Pii("age") int age) {}

  record Twice(@Pii("email") String first, @Pii("email") String second) {}

  record Nothing() {}

  private final FakeKms fake = FakeKms.start();
  private final List<Integer> calls = new ArrayList<>();
  private String tenant = "acme";

  /** The fake, which counts the fields of each call. */
  private final Kms counting =
      new Kms() {
        @Override
        public EncryptPiiResponse encryptPii(EncryptPiiRequest request) {
          calls.add(request.getFieldsCount());
          return fake.client().encryptPii(request);
        }

        @Override
        public DecryptPiiResponse decryptPii(DecryptPiiRequest request) {
          calls.add(request.getFieldsCount());
          return fake.client().decryptPii(request);
        }
      };

  @AfterEach
  void close() {
    fake.close();
  }

  private PiiConverter<Contact> converter(String column) {
    return new PiiConverter<>(Contact.class, () -> counting, () -> tenant, Map.of("column", column)) {};
  }

  private final PiiConverter<Contact> contacts = converter("contact");

  @Test
  void keepsARecordAsTokensWithOneCall() {
    String stored = contacts.convertToDatabaseColumn(new Contact("ann@example.com", "", new byte[] {0, -1}));
    assertTrue(
        stored.matches("\\{\"email\":\"fk1\\.[\\w-]+\",\"phone\":\"fk1\\.[\\w-]+\",\"photo\":\"fk1\\.[\\w-]+\"}"), stored);
    assertEquals(List.of(3), calls);
    Contact opened = contacts.convertToEntityAttribute(stored);
    assertEquals("ann@example.com", opened.email());
    assertEquals("", opened.phone());
    assertArrayEquals(new byte[] {0, -1}, opened.photo());
    assertEquals(List.of(3, 3), calls);
  }

  @Test
  void leavesOutWhatIsNullAndCallsNobodyForIt() {
    assertNull(contacts.convertToDatabaseColumn(null));
    assertNull(contacts.convertToEntityAttribute(null));
    assertEquals("{}", contacts.convertToDatabaseColumn(new Contact(null, null, null)));
    assertEquals(new Contact(null, null, null), contacts.convertToEntityAttribute("{}"));
    assertEquals(List.of(), calls);
    Contact opened = contacts.convertToEntityAttribute(contacts.convertToDatabaseColumn(new Contact("a", null, null)));
    assertEquals(new Contact("a", null, null), opened);
  }

  @Test
  void readsWhatADatabaseMadeOfTheJson() {
    String stored = contacts.convertToDatabaseColumn(new Contact("ann@example.com", "1", null));
    String[] members = stored.substring(1, stored.length() - 1).split(",");
    String kept = "{" + members[1].replace(":", " : ") + ",\n " + members[0] + " }";
    assertEquals(new Contact("ann@example.com", "1", null), contacts.convertToEntityAttribute(kept));
  }

  @Test
  void opensNoValueOfAnotherColumnComponentOrTenant() {
    String stored = contacts.convertToDatabaseColumn(new Contact("ann@example.com", null, null));
    PiiException moved =
        assertThrows(PiiException.class, () -> converter("other").convertToEntityAttribute(stored));
    assertEquals(List.of("email"), moved.fields().stream().map(PiiException.Field::name).toList());
    PiiException renamed =
        assertThrows(
            PiiException.class, () -> contacts.convertToEntityAttribute(stored.replace("email", "phone")));
    assertEquals(List.of("phone"), renamed.fields().stream().map(PiiException.Field::name).toList());
    tenant = "globex";
    assertThrows(PiiException.class, () -> contacts.convertToEntityAttribute(stored));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "", "null", "[]", "{\"email\":1}", "{\"email\":\"a\"", "{\"email\":\"a\",}", "{\"email\":\"a b\"}",
        "{\"email\":\"a\",\"email\":\"b\"}", "{\"city\":\"a\"}", "{\"em\\u0061il\":\"a\"}", "{}{}"
      })
  void refusesATextThatIsNoObjectOfTokens(String text) {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> contacts.convertToEntityAttribute(text));
    assertFalse(text.length() > 2 && refused.getMessage().contains(text), refused.getMessage());
    assertEquals(List.of(), calls);
  }

  @Test
  void refusesARecordThatItCannotKeep() {
    assertEquals("Unmarked.city must be a String or a byte[] that is marked @Pii", refusalOf(Unmarked.class));
    assertEquals("Number.age must be a String or a byte[] that is marked @Pii", refusalOf(Number.class));
    assertEquals("Twice.second has the mark of another component", refusalOf(Twice.class));
    assertEquals("Nothing has no component", refusalOf(Nothing.class));
  }

  private <R extends Record> String refusalOf(Class<R> type) {
    return assertThrows(
            IllegalArgumentException.class,
            () -> new PiiConverter<>(type, () -> counting, () -> tenant, Map.of()) {})
        .getMessage();
  }
}
