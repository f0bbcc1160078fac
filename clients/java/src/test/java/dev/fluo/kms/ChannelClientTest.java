package dev.fluo.kms;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.fluo.kms.testing.FakeKms;
import dev.fluo.kms.v1.EncryptPiiRequest;
import dev.fluo.kms.v1.EncryptPiiResponse;
import dev.fluo.kms.v1.PlainField;
import dev.fluo.kms.v1.SpanResult;
import dev.fluo.kms.v1.SignSpansResponse;
import dev.fluo.kms.v1.SignedSpan;
import dev.fluo.kms.v1.StatusRequest;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Clients over a channel that there is. */
@Timeout(300)
class ChannelClientTest {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  @AutoClose private final FakeKms fake = FakeKms.start();

  record Customer(@Pii("email") String email) {}

  @Test
  void leavesTheChannelOpenAndNeedNotManageIt() {
    Channel wrapped = ClientInterceptors.intercept(fake.channel());
    for (Channel channel : List.of(fake.channel(), wrapped)) {
      KmsClient client = KmsClient.builder(channel).build();
      assertTrue(PiiRecords.encrypt(client, "acme", new Customer("a")).email().startsWith("fk1."));
      client.close();
      assertFalse(fake.channel().isShutdown());
    }
  }

  @Test
  void refusesWhatSaysHowToConnect() {
    KmsClient.Builder over = KmsClient.builder(fake.channel());
    assertThrows(IllegalArgumentException.class, () -> over.insecure().build());
    assertThrows(
        IllegalArgumentException.class, () -> KmsClient.builder(fake.channel()).caFile(Path.of("ca.pem")).build());
    assertThrows(
        IllegalArgumentException.class,
        () -> KmsClient.builder(fake.channel()).clientCertificate(Path.of("a"), Path.of("b")).build());
  }

  @Test
  void givesCallsTheClientsDeadlineAndSizes() {
    AtomicReference<CallOptions> seen = new AtomicReference<>();
    ClientInterceptor look =
        new ClientInterceptor() {
          @Override
          public <Q, A> ClientCall<Q, A> interceptCall(
              MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
            seen.set(options);
            return next.newCall(method, options);
          }
        };
    KmsClient client = KmsClient.builder(fake.channel()).intercept(look).build();
    PiiRecords.encrypt(client, "acme", new Customer("a"));
    assertTrue(seen.get().getDeadline().timeRemaining(TimeUnit.SECONDS) <= 10);
    assertEquals(4 * 1024 * 1024, seen.get().getMaxInboundMessageSize());
    assertEquals(4 * 1024 * 1024, seen.get().getMaxOutboundMessageSize());
    client.kmsAsync().signSpans(new Ignored<>());
    assertNull(seen.get().getDeadline());
  }

  /** Of a call that nobody waits for. */
  private static final class Ignored<T> implements io.grpc.stub.StreamObserver<T> {
    @Override
    public void onNext(T answer) {}

    @Override
    public void onError(Throwable error) {}

    @Override
    public void onCompleted() {}
  }

  @Test
  void sendsATokenInThisMachineAndNotInTheClearToAnother() throws Exception {
    AtomicReference<String> shown = new AtomicReference<>();
    ServerInterceptor look =
        new ServerInterceptor() {
          @Override
          public <Q, A> ServerCall.Listener<Q> interceptCall(
              ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
            shown.set(headers.get(AUTHORIZATION));
            call.close(Status.ABORTED, new Metadata());
            return new ServerCall.Listener<>() {};
          }
        };
    String name = InProcessServerBuilder.generateName();
    Server inProcess =
        InProcessServerBuilder.forName(name).intercept(look).addService(service()).build().start();
    Server loopback =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .intercept(look)
            .addService(service())
            .build()
            .start();
    List<ManagedChannel> channels =
        List.of(
            InProcessChannelBuilder.forName(name).build(),
            Grpc.newChannelBuilder("127.0.0.1:" + loopback.getPort(), InsecureChannelCredentials.create()).build());
    try {
      for (ManagedChannel channel : channels) {
        shown.set(null);
        KmsClient client = KmsClient.builder(channel).token(() -> "secret").build();
        assertThrows(StatusRuntimeException.class, () -> client.encryptPii(EncryptPiiRequest.getDefaultInstance()));
        assertEquals("Bearer secret", shown.get());
      }
    } finally {
      channels.forEach(ManagedChannel::shutdownNow);
      inProcess.shutdownNow();
      loopback.shutdownNow();
    }
  }

  @Test
  void refusesATokenWithoutTlsToAnotherMachineBeforeItIsAsked() {
    AtomicInteger asked = new AtomicInteger();
    TokenInterceptor token =
        new TokenInterceptor(
            () -> {
              asked.incrementAndGet();
              return "secret";
            });
    for (String host : List.of("192.0.2.1", "2001:db8::1")) {
      Applied applied = new Applied();
      token.applyRequestMetadata(new Plain(host), Runnable::run, applied);
      assertEquals(Status.Code.UNAUTHENTICATED, applied.failed.getCode());
      assertTrue(applied.failed.getDescription().contains("without TLS"), applied.failed.toString());
    }
    assertEquals(0, asked.get());
    Applied applied = new Applied();
    token.applyRequestMetadata(new Plain("::1"), Runnable::run, applied);
    assertNotNull(applied.headers);
    assertEquals(1, asked.get());
  }

  /** A call over a connection without TLS. */
  private static final class Plain extends io.grpc.CallCredentials.RequestInfo {
    private final java.net.SocketAddress peer;

    Plain(String host) {
      // Literal addresses are not looked up.
      peer = new java.net.InetSocketAddress(host, 9000);
    }

    @Override
    public MethodDescriptor<?, ?> getMethodDescriptor() {
      return dev.fluo.kms.v1.KmsServiceGrpc.getEncryptPiiMethod();
    }

    @Override
    public io.grpc.SecurityLevel getSecurityLevel() {
      return io.grpc.SecurityLevel.NONE;
    }

    @Override
    public String getAuthority() {
      return "kms.example.com";
    }

    @Override
    public io.grpc.Attributes getTransportAttrs() {
      return io.grpc.Attributes.newBuilder().set(Grpc.TRANSPORT_ATTR_REMOTE_ADDR, peer).build();
    }
  }

  private static final class Applied extends io.grpc.CallCredentials.MetadataApplier {
    private Metadata headers;
    private Status failed;

    @Override
    public void apply(Metadata headers) {
      this.headers = headers;
    }

    @Override
    public void fail(Status status) {
      this.failed = status;
    }
  }

  private static io.grpc.BindableService service() {
    return new dev.fluo.kms.v1.KmsServiceGrpc.KmsServiceImplBase() {};
  }

  @Test
  void signsBatchesOverAChannelInProcess() throws Exception {
    String name = InProcessServerBuilder.generateName();
    ScriptedService.Script signing =
        (stream, request, given, answers) -> {
          if (stream == 0) {
            answers.onError(Status.UNAVAILABLE.asException());
            return;
          }
          SignSpansResponse.Builder answer = SignSpansResponse.newBuilder().setBatchDone(true);
          answer.setRequestId(given.getRequestId());
          answer.addResults(
              SpanResult.newBuilder()
                  .setSigned(SignedSpan.newBuilder().setLeafIndex(7).addAttributes(Spans.attribute("a", "b"))));
          answers.onNext(answer.build());
        };
    try (ScriptedService scripted =
        new ScriptedService(signing, InProcessServerBuilder.forName(name).directExecutor())) {
      ManagedChannel channel = InProcessChannelBuilder.forName(name).build();
      try (KmsClient client = KmsClient.builder(channel).build();
          SpanSigner signer = SpanSigner.builder(client, "acme").build()) {
        List<SpanOutcome> outcomes = signer.sign(List.of(Spans.of(1))).get(60, TimeUnit.SECONDS);
        SpanOutcome.Signed signed = assertInstanceOf(SpanOutcome.Signed.class, outcomes.get(0));
        assertEquals(7, signed.leafIndex().getAsLong());
        assertEquals(2, scripted.given().size());
      } finally {
        channel.shutdownNow();
      }
    }
  }

  @Test
  void repeatsAsTheChannelSays() {
    fake.refuse("EncryptPii", "DRAINING", 1);
    KmsClient client = KmsClient.builder(fake.channel()).build();
    assertTrue(PiiRecords.encrypt(client, "acme", new Customer("a")).email().startsWith("fk1."));
    assertEquals(List.of("methodConfig"), new ArrayList<>(KmsClient.serviceConfig().keySet()));
  }

  /** What a program replaces by hand, or by a library of mocks, in its own tests. */
  @Test
  void takesAnyKmsForRecordsAndFiles() throws Exception {
    Kms backwards =
        new Kms() {
          @Override
          public EncryptPiiResponse encryptPii(EncryptPiiRequest request) {
            EncryptPiiResponse.Builder response = EncryptPiiResponse.newBuilder();
            for (PlainField each : request.getFieldsList()) {
              String token = new StringBuilder(each.getValue().toStringUtf8()).reverse().toString();
              response.addFieldsBuilder().setName(each.getName()).setToken(token);
            }
            return response.build();
          }
        };
    assertEquals(new Customer("nna"), PiiRecords.encrypt(backwards, "acme", new Customer("ann"), Map.of()));
    StatusRuntimeException error =
        assertThrows(StatusRuntimeException.class, () -> SealedFiles.sealBytes(backwards, "acme", new byte[1]));
    assertEquals(Status.Code.UNIMPLEMENTED, error.getStatus().getCode());
    Kms client = fake.client();
    byte[] sealed = SealedFiles.sealBytes(client, "acme", new byte[] {1});
    assertArrayEquals(new byte[] {1}, SealedFiles.openBytes(client, "acme", sealed));
    assertThrows(
        StatusRuntimeException.class, () -> fake.client().kms().status(StatusRequest.getDefaultInstance()));
  }
}
