package dev.fluo.kms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.fluo.kms.v1.GenerateDataKeyRequest;
import dev.fluo.kms.v1.GetPublicKeysRequest;
import dev.fluo.kms.v1.Key;
import dev.fluo.kms.v1.ListKeysRequest;
import dev.fluo.kms.v1.SignSpanRequest;
import dev.fluo.kms.v1.StatusRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class KmsClientTest {
  @AutoClose private static TestService service;

  @TempDir Path folder;

  @BeforeAll
  static void startService() throws Exception {
    service = TestService.start();
  }

  @Test
  void callsEachServiceInEachWay() throws Exception {
    try (KmsClient client = service.client()) {
      GenerateDataKeyRequest request = GenerateDataKeyRequest.newBuilder().setTenantId("acme").build();
      assertEquals(32, client.kms().generateDataKey(request).getPlaintext().size());
      assertEquals(32, client.kmsFuture().generateDataKey(request).get().getPlaintext().size());
      assertTrue(client.keyAdmin().listKeys(ListKeysRequest.getDefaultInstance()).getKeysCount() > 0);
    }
  }

  @Test
  void listsPageByPageWhatOnePageHas() {
    try (KmsClient client = service.client()) {
      client.kms().generateDataKey(GenerateDataKeyRequest.newBuilder().setTenantId("paged").build());
      client.kms().signSpan(SignSpanRequest.newBuilder().setTenantId("paged").setSpan(Spans.span("a")).build());
      ListKeysRequest all = ListKeysRequest.newBuilder().setTenantId("paged").build();
      List<Key> singly = new ArrayList<>();
      client.listKeys(all.toBuilder().setPageSize(1).build()).forEach(singly::add);
      assertEquals(2, singly.size());
      assertEquals(client.keyAdmin().listKeys(all).getKeysList(), singly);
      List<Object> keys = new ArrayList<>();
      client.listPublicKeys(GetPublicKeysRequest.newBuilder().setTenantId("paged").build()).forEach(keys::add);
      assertEquals(1, keys.size());
      Iterable<Key> refused = client.listKeys(ListKeysRequest.newBuilder().setTenantId("Not a tenant").build());
      assertThrows(StatusRuntimeException.class, () -> refused.iterator().hasNext());
    }
  }

  @Test
  void readsTheDetailsOfARefusal() {
    try (KmsClient client = service.client()) {
      GenerateDataKeyRequest request = GenerateDataKeyRequest.newBuilder().setTenantId("Not a tenant").build();
      StatusRuntimeException error =
          assertThrows(StatusRuntimeException.class, () -> client.kms().generateDataKey(request));
      ErrorDetails details = ErrorDetails.of(new ExecutionException(error));
      assertEquals(Status.Code.INVALID_ARGUMENT, error.getStatus().getCode());
      assertFalse(details.reason().isEmpty());
      assertEquals("tenant_id", details.fields().get(0).field());
      assertEquals(Optional.empty(), details.retryAfter());
    }
    assertEquals(List.of(), ErrorDetails.of(null).fields());
    assertEquals("", ErrorDetails.of(new IllegalStateException()).reason());
  }

  @Test
  void givesACallWithoutADeadlineTheClients() throws Exception {
    // A server that takes the connection and never answers.
    try (java.net.ServerSocket silent = new java.net.ServerSocket(0, 50, java.net.InetAddress.getLoopbackAddress());
        KmsClient client =
            KmsClient.builder("127.0.0.1:" + silent.getLocalPort())
                .insecure()
                .deadline(Duration.ofMillis(100))
                .build()) {
      StatusRuntimeException error =
          assertThrows(
              StatusRuntimeException.class, () -> client.kms().status(StatusRequest.getDefaultInstance()));
      assertEquals(Status.Code.DEADLINE_EXCEEDED, error.getStatus().getCode());
    }
  }

  @Test
  void sendsATokenWithoutTlsToThisMachineAlone() {
    for (String target : List.of("localhost:9000", "127.0.0.1:9000", "[::1]:9000", "dns:///localhost:9000")) {
      KmsClient.builder(target).insecure().token(() -> "t").build().close();
    }
    for (String target :
        List.of("192.0.2.1:9000", "localhost.example.com:9000", "127.0.0.1.example.com:9000", "[::2]:9000", "dns://x/localhost")) {
      IllegalArgumentException error =
          assertThrows(
              IllegalArgumentException.class,
              () -> KmsClient.builder(target).insecure().token(() -> "t").build(),
              target);
      assertTrue(error.getMessage().contains("leave out insecure()"), error.getMessage());
    }
  }

  @Test
  void refusesATokenThatIsNoneWithoutShowingIt() {
    for (String token : new String[] {null, "", "two words", "line\nfeed"}) {
      try (KmsClient client = KmsClient.builder(service.grpc()).insecure().token(() -> token).build()) {
        StatusRuntimeException error =
            assertThrows(
                StatusRuntimeException.class, () -> client.kms().status(StatusRequest.getDefaultInstance()));
        assertEquals(Status.Code.UNAUTHENTICATED, error.getStatus().getCode());
        assertFalse(token != null && !token.isEmpty() && error.getMessage().contains(token));
      }
    }
  }

  @Test
  void failsTheCallWithWhatTheTokenFunctionThrows() {
    for (Throwable thrown : List.of(new IllegalStateException("no token"), new NoClassDefFoundError("no class"))) {
      try (KmsClient client = KmsClient.builder(service.grpc()).insecure().token(() -> throwing(thrown)).build()) {
        StatusRuntimeException error =
            assertThrows(
                StatusRuntimeException.class, () -> client.kms().status(StatusRequest.getDefaultInstance()));
        assertEquals(Status.Code.UNAUTHENTICATED, error.getStatus().getCode());
        assertEquals(thrown, error.getCause());
      }
    }
  }

  private static String throwing(Throwable thrown) {
    if (thrown instanceof Error error) {
      throw error;
    }
    throw (RuntimeException) thrown;
  }

  @Test
  void refusesWhatContradictsItself() {
    Path file = Path.of("x.pem");
    assertThrows(
        IllegalArgumentException.class, () -> KmsClient.builder("localhost:1").insecure().caFile(file).build());
    assertThrows(
        java.io.UncheckedIOException.class, () -> KmsClient.builder("localhost:1").caFile(file).build());
  }

  @Test
  void leavesNoThreadBehindAClientThatCannotBeMade() throws Exception {
    TrustManagerFactory system = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    system.init((KeyStore) null);
    byte[] certificate = ((X509TrustManager) system.getTrustManagers()[0]).getAcceptedIssuers()[0].getEncoded();
    String pem =
        "-----BEGIN CERTIFICATE-----\n"
            + Base64.getMimeEncoder().encodeToString(certificate)
            + "\n-----END CERTIFICATE-----\n";
    Path authority = Files.writeString(folder.resolve("ca.pem"), pem);
    assertThrows(
        IllegalArgumentException.class, () -> KmsClient.builder("dns:///a b:1").caFile(authority).build());
    List<Thread> threads =
        Thread.getAllStackTraces().keySet().stream().filter(each -> each.getName().equals("fluo-kms-files")).toList();
    for (Thread thread : threads) {
      thread.join(60_000);
      assertFalse(thread.isAlive());
    }
  }
}
