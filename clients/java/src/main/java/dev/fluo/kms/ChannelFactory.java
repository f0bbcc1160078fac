package dev.fluo.kms;

import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Opens the channel of a client: who is trusted, what is shown, and how calls behave. */
final class ChannelFactory {
  static final int MESSAGE_BYTES = 4 * 1024 * 1024;
  private static final long KEEPALIVE_SECONDS = 30;
  private static final long KEEPALIVE_TIMEOUT_SECONDS = 20;

  private ChannelFactory() {}

  /**
   * What a client's calls go over.
   *
   * @param transport the channel below the client's interceptors
   * @param isOwn whether the client opened it
   * @param resources what to close with it
   */
  record Opened(Channel transport, boolean isOwn, List<AutoCloseable> resources) {
    void close(long seconds) {
      if (isOwn && transport instanceof ManagedChannel managed) {
        managed.shutdown();
        try {
          if (!managed.awaitTermination(seconds, TimeUnit.SECONDS)) {
            managed.shutdownNow();
          }
        } catch (InterruptedException e) {
          managed.shutdownNow();
          Thread.currentThread().interrupt();
        }
      }
      closeAll(resources);
    }
  }

  static KmsClient open(KmsClient.Builder options) {
    check(options);
    List<AutoCloseable> resources = new ArrayList<>();
    try {
      Channel transport = options.given != null ? options.given : managed(options, resources);
      Channel channel = ClientInterceptors.interceptForward(transport, options.interceptors);
      channel = ClientInterceptors.intercept(channel, new CallDefaults(options.deadline));
      if (options.token != null) {
        channel = ClientInterceptors.intercept(channel, new TokenInterceptor(options.token));
      }
      return new KmsClient(new Opened(transport, options.given == null, resources), channel);
    } catch (RuntimeException e) {
      closeAll(resources);
      throw e;
    }
  }

  private static ManagedChannel managed(KmsClient.Builder options, List<AutoCloseable> resources) {
    ChannelCredentials credentials =
        options.isInsecure ? InsecureChannelCredentials.create() : TlsFiles.credentials(options, resources);
    return Grpc.newChannelBuilder(options.target, credentials)
        // A request is kept whole until it is answered, or it could not be sent again.
        .perRpcBufferLimit(2L * MESSAGE_BYTES)
        .keepAliveTime(KEEPALIVE_SECONDS, TimeUnit.SECONDS)
        .keepAliveTimeout(KEEPALIVE_TIMEOUT_SECONDS, TimeUnit.SECONDS)
        .keepAliveWithoutCalls(false)
        .enableRetry()
        // Whoever answers for names must not say what is repeated.
        .disableServiceConfigLookUp()
        .defaultServiceConfig(ServiceConfig.retries())
        .build();
  }

  private static void check(KmsClient.Builder options) {
    boolean hasFiles = options.caFile != null || options.certificateFile != null || options.keyFile != null;
    if (options.given != null && (options.isInsecure || hasFiles)) {
      throw new IllegalArgumentException(
          "the channel that was given says how to connect; leave out insecure(), caFile() and clientCertificate()");
    }
    if (options.isInsecure && (options.caFile != null || options.certificateFile != null)) {
      throw new IllegalArgumentException("insecure() leaves no use for certificates; leave out one or the other");
    }
    if ((options.certificateFile == null) != (options.keyFile == null)) {
      throw new IllegalArgumentException("a client certificate needs both its file and its key's file");
    }
    if (options.isInsecure && options.token != null && !Loopback.isTarget(options.target)) {
      throw new IllegalArgumentException(
          "a token is not sent without TLS to another machine ("
              + options.target
              + "): leave out insecure(), and give the service's authority with caFile() if it is your own");
    }
    if (options.deadline.isNegative() || options.deadline.isZero()) {
      throw new IllegalArgumentException("a deadline is above 0");
    }
  }

  private static void closeAll(List<AutoCloseable> resources) {
    for (AutoCloseable resource : resources) {
      try {
        resource.close();
      } catch (Exception e) {
        // They only stop to look for renewed files.
      }
    }
  }
}
