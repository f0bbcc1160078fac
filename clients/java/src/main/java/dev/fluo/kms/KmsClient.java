package dev.fluo.kms;

import dev.fluo.kms.v1.AuditEvent;
import dev.fluo.kms.v1.DecryptDataKeyRequest;
import dev.fluo.kms.v1.DecryptDataKeyResponse;
import dev.fluo.kms.v1.DecryptPiiRequest;
import dev.fluo.kms.v1.DecryptPiiResponse;
import dev.fluo.kms.v1.EncryptPiiRequest;
import dev.fluo.kms.v1.EncryptPiiResponse;
import dev.fluo.kms.v1.GenerateDataKeyRequest;
import dev.fluo.kms.v1.GenerateDataKeyResponse;
import dev.fluo.kms.v1.GetPublicKeysRequest;
import dev.fluo.kms.v1.Key;
import dev.fluo.kms.v1.KeyAdminServiceGrpc;
import dev.fluo.kms.v1.KmsServiceGrpc;
import dev.fluo.kms.v1.ListAuditEventsRequest;
import dev.fluo.kms.v1.ListKeysRequest;
import dev.fluo.kms.v1.LogServiceGrpc;
import dev.fluo.kms.v1.PublicKey;
import dev.fluo.kms.v1.ReEncryptPiiRequest;
import dev.fluo.kms.v1.ReEncryptPiiResponse;
import dev.fluo.kms.v1.SignSpanRequest;
import dev.fluo.kms.v1.SignSpanResponse;
import dev.fluo.kms.v1.VerifySpanRequest;
import dev.fluo.kms.v1.VerifySpanResponse;
import io.grpc.Channel;
import io.grpc.ClientInterceptor;
import io.grpc.ManagedChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * A client of fluo-kms: the stubs of its three services over one channel, and the calls of {@link Kms} as methods. May be
 * shared between threads; open one per service and close it at the end.
 *
 * <p>Calls fail with {@link io.grpc.StatusRuntimeException}: see {@link ErrorDetails#of}. A unary call without a
 * deadline has one of 10 s; streams have none. Calls that may be repeated are, up to four times in all, where the service
 * is not there or has too much to do. A message has at most 4 MiB, both ways.
 */
public final class KmsClient implements Kms, AutoCloseable {
  private static final long CLOSE_SECONDS = 5;

  private final ChannelFactory.Opened opened;
  private final Channel channel;

  KmsClient(ChannelFactory.Opened opened, Channel channel) {
    this.opened = opened;
    this.channel = channel;
  }

  /**
   * Begins a connection to a service, which the client opens and closes.
   *
   * @param target {@code host:port}, or any target that gRPC resolves
   */
  public static Builder builder(String target) {
    return new Builder(target, null);
  }

  /**
   * Begins a client over a channel that there is: one of a framework, or of grpc-java's in-process transport. It stays its
   * owner's, and {@link #close} leaves it open.
   *
   * <p>The channel says how to connect, so {@code insecure}, {@code caFile} and {@code clientCertificate} are refused. The
   * client's deadlines, sizes of messages, token and interceptors hold as ever. Which calls are repeated is the channel's
   * affair: give its builder {@link #serviceConfig} for what the client does otherwise.
   *
   * @param channel stays open, and is the caller's to close
   */
  public static Builder builder(Channel channel) {
    return new Builder(null, channel);
  }

  /**
   * Returns which calls a client repeats and how, for {@code ManagedChannelBuilder.defaultServiceConfig}: calls that change
   * nothing, or nothing twice, on UNAVAILABLE and RESOURCE_EXHAUSTED, four times in all. The service's pushback wins.
   */
  public static Map<String, ?> serviceConfig() {
    return ServiceConfig.retries();
  }

  /** Returns the channel, for stubs of one's own making. */
  public Channel channel() {
    return channel;
  }

  /** Returns the stub of KmsService whose calls block. */
  public KmsServiceGrpc.KmsServiceBlockingStub kms() {
    return KmsServiceGrpc.newBlockingStub(channel);
  }

  /** Returns the stub of KmsService whose calls tell an observer; the one for streams. */
  public KmsServiceGrpc.KmsServiceStub kmsAsync() {
    return KmsServiceGrpc.newStub(channel);
  }

  /** Returns the stub of KmsService whose calls give a future. */
  public KmsServiceGrpc.KmsServiceFutureStub kmsFuture() {
    return KmsServiceGrpc.newFutureStub(channel);
  }

  /** Returns the stub of KeyAdminService whose calls block. */
  public KeyAdminServiceGrpc.KeyAdminServiceBlockingStub keyAdmin() {
    return KeyAdminServiceGrpc.newBlockingStub(channel);
  }

  /** Returns the stub of KeyAdminService whose calls tell an observer. */
  public KeyAdminServiceGrpc.KeyAdminServiceStub keyAdminAsync() {
    return KeyAdminServiceGrpc.newStub(channel);
  }

  /** Returns the stub of KeyAdminService whose calls give a future. */
  public KeyAdminServiceGrpc.KeyAdminServiceFutureStub keyAdminFuture() {
    return KeyAdminServiceGrpc.newFutureStub(channel);
  }

  /** Returns the stub of LogService whose calls block. */
  public LogServiceGrpc.LogServiceBlockingStub log() {
    return LogServiceGrpc.newBlockingStub(channel);
  }

  /** Returns the stub of LogService whose calls tell an observer. */
  public LogServiceGrpc.LogServiceStub logAsync() {
    return LogServiceGrpc.newStub(channel);
  }

  /** Returns the stub of LogService whose calls give a future. */
  public LogServiceGrpc.LogServiceFutureStub logFuture() {
    return LogServiceGrpc.newFutureStub(channel);
  }

  /**
   * Lists keys by tenant, purpose and version. Each iteration begins anew and asks for a page when the one before is used
   * up; it fails as a call does.
   *
   * @param request which keys, and how many a page
   */
  public Iterable<Key> listKeys(ListKeysRequest request) {
    return Paging.of(
        request.getPageToken(),
        token -> {
          var page = keyAdmin().listKeys(request.toBuilder().setPageToken(token).build());
          return new Paging.Page<>(page.getKeysList(), page.getNextPageToken());
        });
  }

  /**
   * Lists events of the audit trail, oldest first: iterates as {@link #listKeys} does.
   *
   * @param request which events, and how many a page
   */
  public Iterable<AuditEvent> listAuditEvents(ListAuditEventsRequest request) {
    return Paging.of(
        request.getPageToken(),
        token -> {
          var page = keyAdmin().listAuditEvents(request.toBuilder().setPageToken(token).build());
          return new Paging.Page<>(page.getEventsList(), page.getNextPageToken());
        });
  }

  /**
   * Lists a tenant's public keys: iterates as {@link #listKeys} does.
   *
   * @param request whose keys, and how many a page
   */
  public Iterable<PublicKey> listPublicKeys(GetPublicKeysRequest request) {
    return Paging.of(
        request.getPageToken(),
        token -> {
          var page = kms().getPublicKeys(request.toBuilder().setPageToken(token).build());
          return new Paging.Page<>(page.getKeysList(), page.getNextPageToken());
        });
  }

  @Override
  public GenerateDataKeyResponse generateDataKey(GenerateDataKeyRequest request) {
    return kms().generateDataKey(request);
  }

  @Override
  public DecryptDataKeyResponse decryptDataKey(DecryptDataKeyRequest request) {
    return kms().decryptDataKey(request);
  }

  @Override
  public EncryptPiiResponse encryptPii(EncryptPiiRequest request) {
    return kms().encryptPii(request);
  }

  @Override
  public DecryptPiiResponse decryptPii(DecryptPiiRequest request) {
    return kms().decryptPii(request);
  }

  @Override
  public ReEncryptPiiResponse reEncryptPii(ReEncryptPiiRequest request) {
    return kms().reEncryptPii(request);
  }

  @Override
  public SignSpanResponse signSpan(SignSpanRequest request) {
    return kms().signSpan(request);
  }

  @Override
  public VerifySpanResponse verifySpan(VerifySpanRequest request) {
    return kms().verifySpan(request);
  }

  /** Has the next call try to connect, whenever the last attempt was: gRPC waits up to two minutes between attempts. */
  void connectAtOnce() {
    if (opened.transport() instanceof ManagedChannel managed) {
      managed.resetConnectBackoff();
    }
  }

  /**
   * Ends the connection: waits up to 5 s for calls that are open, and then cancels them. A client over a channel that was
   * given to it leaves that open.
   */
  @Override
  public void close() {
    opened.close(CLOSE_SECONDS);
  }

  /** How to connect. TLS with the system's authorities, unless something else is said. */
  public static final class Builder {
    /** Null over a channel that there is. */
    final String target;
    /** Null for a target. */
    final Channel given;
    boolean isInsecure;
    Path caFile;
    Path certificateFile;
    Path keyFile;
    Supplier<String> token;
    Duration deadline = Duration.ofSeconds(10);
    final List<ClientInterceptor> interceptors = new ArrayList<>();

    private Builder(String target, Channel given) {
      this.target = target;
      this.given = given;
    }

    /** Connects without TLS: whoever is on the way reads and changes what is sent. */
    public Builder insecure() {
      this.isInsecure = true;
      return this;
    }

    /**
     * Trusts the authorities in this file alone, which is read anew when it changes.
     *
     * @param file certificates in PEM
     */
    public Builder caFile(Path file) {
      this.caFile = file;
      return this;
    }

    /**
     * Shows a certificate (mTLS). Both files are read anew when they change.
     *
     * @param certificateFile the chain in PEM, the client's own certificate first
     * @param keyFile its private key, PKCS #8 in PEM
     */
    public Builder clientCertificate(Path certificateFile, Path keyFile) {
      this.certificateFile = certificateFile;
      this.keyFile = keyFile;
      return this;
    }

    /**
     * Shows a token as {@code authorization: Bearer …}. Never sent without TLS but to this machine: over a channel that
     * was given, a call that would is refused with UNAUTHENTICATED before the token is asked for.
     *
     * @param token asked for each call, so that it can be renewed; may block, and what it throws fails the call
     */
    public Builder token(Supplier<String> token) {
      this.token = token;
      return this;
    }

    /** Gives unary calls that have no deadline this one, in the place of 10 s. */
    public Builder deadline(Duration deadline) {
      this.deadline = deadline;
      return this;
    }

    /** Lets an interceptor see all calls, as that of OpenTelemetry does; the first one given sees them first. */
    public Builder intercept(ClientInterceptor interceptor) {
      interceptors.add(interceptor);
      return this;
    }

    /**
     * Makes the client. It connects with the first call.
     *
     * @throws IllegalArgumentException if what was said contradicts itself, or a token would be sent without TLS to
     *     another machine
     * @throws java.io.UncheckedIOException if a file cannot be read, or is no certificate or key
     */
    public KmsClient build() {
      return ChannelFactory.open(this);
    }
  }
}
