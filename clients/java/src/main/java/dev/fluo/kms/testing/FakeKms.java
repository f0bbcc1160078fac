package dev.fluo.kms.testing;

import dev.fluo.kms.KmsClient;
import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Clock;

/**
 * A fake of the service for tests: in this process, without a network, a file or a database. It serves GenerateDataKey,
 * DecryptDataKey, EncryptPii, DecryptPii, SignSpan and VerifySpan, for any tenant, in the service's own formats and with
 * its refusals. What one tenant, name or context sealed opens under no other.
 *
 * <p><b>Its key is public</b>: it is that of the vectors of fluo-kms, and everybody has it. Nothing that it encrypts is
 * secret, and nothing that it signs is evidence. Tokens of one fake open in each other.
 *
 * <p>Other calls fail with UNIMPLEMENTED: it has no log, no rotation and no administration. Test those against the real
 * service.
 */
public final class FakeKms implements AutoCloseable {
  private final Refusals refusals = new Refusals();
  private final Server server;
  private final ManagedChannel channel;
  private final KmsClient client;

  private FakeKms(Clock clock) {
    String name = InProcessServerBuilder.generateName();
    try {
      server =
          InProcessServerBuilder.forName(name)
              .directExecutor()
              .addService(new FakeService(clock, refusals).definition())
              .fallbackHandlerRegistry(new LeftOut())
              .build()
              .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    channel =
        InProcessChannelBuilder.forName(name)
            .directExecutor()
            .enableRetry()
            .defaultServiceConfig(KmsClient.serviceConfig())
            .build();
    client = KmsClient.builder(channel).build();
  }

  /** Starts a fake that signs at the system's time. */
  public static FakeKms start() {
    return start(Clock.systemUTC());
  }

  /**
   * Starts a fake.
   *
   * @param clock says when spans are signed
   */
  public static FakeKms start(Clock clock) {
    return new FakeKms(clock);
  }

  /** Returns the fake's client, which is closed with it. Its calls are repeated as those of the service are. */
  public KmsClient client() {
    return client;
  }

  /** Returns the channel to the fake, for a client with options of its own; it is closed with the fake. */
  public ManagedChannel channel() {
    return channel;
  }

  /** Returns the {@code jwks.json} of any of its tenants, for {@link dev.fluo.kms.verify.KeySet#parse}. */
  public String keySet() {
    return FakeKey.JWKS;
  }

  /**
   * Has each call of an rpc refused, until {@link #allow}. A refusal that the service has callers repeat is repeated here,
   * too, so that such a call fails after four attempts.
   *
   * @param rpc its name, such as {@code EncryptPii}
   * @param reason of the service's, such as {@code OVERLOADED}; its status, delay and pushback come with it
   * @throws IllegalArgumentException if the fake has no such rpc, or the service no such reason; it lists them
   */
  public void refuse(String rpc, String reason) {
    refusals.refuse(rpc, reason, Integer.MAX_VALUE);
  }

  /**
   * Has the next calls of an rpc refused, and those after them answered. Each attempt of a call that is repeated counts.
   *
   * @param rpc its name, such as {@code EncryptPii}
   * @param reason of the service's, such as {@code OVERLOADED}
   * @param times how many, at least 1
   * @throws IllegalArgumentException if the fake has no such rpc, or the service no such reason; it lists them
   */
  public void refuse(String rpc, String reason, int times) {
    refusals.refuse(rpc, reason, times);
  }

  /** Has calls of an rpc answered again. */
  public void allow(String rpc) {
    refusals.allow(rpc);
  }

  /** Ends the fake and its client; calls that are open fail. */
  @Override
  public void close() {
    client.close();
    channel.shutdownNow();
    server.shutdownNow();
  }
}
