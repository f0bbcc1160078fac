package dev.fluo.kms;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import io.grpc.util.AdvancedTlsX509KeyManager;
import io.grpc.util.AdvancedTlsX509TrustManager;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.security.GeneralSecurityException;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** TLS by files in PEM, which are read anew when they change: certificates are renewed while a client is open. */
final class TlsFiles {
  private static final long LOOK_EVERY_SECONDS = 60;

  private TlsFiles() {}

  /** @param resources gets what is to be closed with the client, also where this throws */
  static ChannelCredentials credentials(KmsClient.Builder options, List<AutoCloseable> resources) {
    TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
    if (options.caFile == null && options.certificateFile == null) {
      return tls.build();
    }
    ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor(DaemonThreads.named("fluo-kms-files"));
    resources.add(clock::shutdownNow);
    try {
      if (options.caFile != null) {
        AdvancedTlsX509TrustManager trust = AdvancedTlsX509TrustManager.newBuilder().build();
        resources.add(
            trust.updateTrustCredentials(options.caFile.toFile(), LOOK_EVERY_SECONDS, TimeUnit.SECONDS, clock)::close);
        tls.trustManager(trust);
      }
      if (options.certificateFile != null) {
        AdvancedTlsX509KeyManager key = new AdvancedTlsX509KeyManager();
        resources.add(
            key.updateIdentityCredentials(
                    options.certificateFile.toFile(),
                    options.keyFile.toFile(),
                    LOOK_EVERY_SECONDS,
                    TimeUnit.SECONDS,
                    clock)
                ::close);
        tls.keyManager(key);
      }
      return tls.build();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (GeneralSecurityException e) {
      throw new UncheckedIOException(new IOException("a certificate or key file is not in its form", e));
    }
  }
}
