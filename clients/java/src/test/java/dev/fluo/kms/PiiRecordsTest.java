package dev.fluo.kms;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(300)
class PiiRecordsTest {
  record Customer(
      String id, @Pii("email") String email, @Pii("scan") byte[] scan, @Pii("phone") String phone, int visits) {}

  record Unmarked(String id) {}

  record Marked(@Pii("visits") int visits) {}

  record Twice(@Pii("a") String first, @Pii("a") String second) {}

  private static final Map<String, String> CONTEXT = Map.of("table", "customers");
  @AutoClose private static TestService service;
  @AutoClose private static KmsClient client;

  @BeforeAll
  static void startService() throws Exception {
    service = TestService.start();
    client = service.client();
  }

  @Test
  void encryptsWhatIsMarkedAndDecryptsItAgain() {
    Customer plain = new Customer("1", "ann@exämple.com", new byte[] {0, (byte) 0xff}, null, 3);
    Customer stored = PiiRecords.encrypt(client, "acme", plain, CONTEXT);
    assertEquals("1", stored.id());
    assertEquals(3, stored.visits());
    assertTrue(stored.email().startsWith("fk1."));
    assertNull(stored.phone());
    Customer opened = PiiRecords.decrypt(client, "acme", stored, CONTEXT);
    assertEquals(plain.email(), opened.email());
    assertArrayEquals(plain.scan(), opened.scan());
    assertNull(opened.phone());
  }

  @Test
  void encryptsAnEmptyValueAndAsksNobodyWhereNothingIsThere() {
    Customer empty = PiiRecords.encrypt(client, "acme", new Customer("1", "", null, null, 0), CONTEXT);
    assertTrue(empty.email().startsWith("fk1."));
    assertEquals("", PiiRecords.decrypt(client, "acme", empty, CONTEXT).email());
    Customer nothing = new Customer("1", null, null, null, 0);
    assertEquals(nothing, PiiRecords.encrypt(client, "Not a tenant", nothing, CONTEXT));
  }

  @Test
  void namesEachFieldThatDoesNotOpen() {
    Customer stored =
        PiiRecords.encrypt(client, "acme", new Customer("1", "a", new byte[] {1}, "2", 0), CONTEXT);
    Customer swapped = new Customer("1", stored.phone(), stored.scan(), stored.email(), 0);
    PiiException error =
        assertThrows(PiiException.class, () -> PiiRecords.decrypt(client, "acme", swapped, CONTEXT));
    assertEquals(List.of("email", "phone"), error.fields().stream().map(PiiException.Field::name).toList());
    assertEquals(Status.Code.INVALID_ARGUMENT, error.fields().get(0).code());
    Customer bytes = PiiRecords.encrypt(client, "acme", new Customer("1", "a", new byte[] {1}, "2", 0), CONTEXT);
    assertThrows(PiiException.class, () -> PiiRecords.decrypt(client, "acme", bytes));
  }

  @Test
  void needsNoContext() {
    Customer stored = PiiRecords.encrypt(client, "acme", new Customer("1", "a", null, null, 0));
    assertEquals("a", PiiRecords.decrypt(client, "acme", stored).email());
    assertThrows(PiiException.class, () -> PiiRecords.decrypt(client, "acme", stored, CONTEXT));
  }

  @Test
  void namesAFieldThatIsTooLong() {
    Customer large = new Customer("1", "x".repeat(70_000), null, "1", 0);
    PiiException error =
        assertThrows(PiiException.class, () -> PiiRecords.encrypt(client, "acme", large, CONTEXT));
    assertEquals("email", error.fields().get(0).name());
  }

  @Test
  void refusesRecordsThatItCannotMark() {
    for (Record record : List.of(new Unmarked("1"), new Marked(1), new Twice("a", "b"))) {
      assertThrows(
          IllegalArgumentException.class, () -> PiiRecords.encrypt(client, "acme", record, CONTEXT));
    }
    Customer halved = new Customer("1", "\ud800", null, null, 0);
    assertThrows(IllegalArgumentException.class, () -> PiiRecords.encrypt(client, "acme", halved, CONTEXT));
  }
}
