package dev.fluo.kms.conformance;

import dev.fluo.kms.KmsClient;
import dev.fluo.kms.v1.GenerateDataKeyRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** {@code identities}: certificates and tokens. */
final class Identities {
  private final World world;
  private final World tls;
  private final Checks checks;
  private final List<String> tokens;

  private Identities(World world, Checks checks) {
    this.world = world;
    this.tls = world.object("tls");
    this.checks = checks;
    this.tokens = world.texts("tokens");
  }

  static void run(World world, Checks checks) {
    Identities identities = new Identities(world, checks);
    checks.step("certificate", identities::certificate);
    checks.step("token function", identities::tokenFunction);
    checks.step("no credential", identities::noCredential);
    checks.step("another authority", identities::anotherAuthority);
    checks.step("cleartext", identities::cleartext);
  }

  private KmsClient.Builder client() {
    return KmsClient.builder(tls.text("service")).caFile(tls.path("ca")).deadline(Main.PATIENCE);
  }

  private void certificate() {
    try (KmsClient client = client().clientCertificate(tls.path("certificate"), tls.path("key")).build()) {
      checks.equal(Status.Code.OK, call(client), "a certificate is taken");
    }
  }

  private void tokenFunction() {
    Deque<String> shown = new ArrayDeque<>(List.of(tokens.get(0), tokens.get(2), tokens.get(1)));
    try (KmsClient client = client().token(shown::remove).build()) {
      checks.equal(Status.Code.OK, call(client), "the first token is taken");
      checks.equal(Status.Code.UNAUTHENTICATED, call(client), "the bad token is refused");
      checks.equal(Status.Code.OK, call(client), "the second token is taken");
      checks.equal(0, shown.size(), "the function is asked for each call");
    }
  }

  private void noCredential() {
    try (KmsClient client = client().build()) {
      checks.equal(Status.Code.UNAUTHENTICATED, call(client), "no credential");
    }
    try (KmsClient client = client().token(() -> tokens.get(2)).build()) {
      checks.equal(Status.Code.UNAUTHENTICATED, call(client), "a bad token");
    }
  }

  private void anotherAuthority() {
    try (KmsClient client =
        KmsClient.builder(tls.text("service")).caFile(tls.path("otherCa")).deadline(Main.PATIENCE).token(() -> tokens.get(0)).build()) {
      checks.equal(Status.Code.UNAVAILABLE, call(client), "another authority");
    }
  }

  private void cleartext() {
    AtomicInteger asked = new AtomicInteger();
    try (KmsClient client =
        KmsClient.builder("192.0.2.1:9000")
            .insecure()
            .token(
                () -> {
                  asked.incrementAndGet();
                  return tokens.get(0);
                })
            .build()) {
      checks.that(false, "a token without TLS", "is taken: " + call(client));
    } catch (IllegalArgumentException e) {
      checks.equal(0, asked.get(), "a token without TLS is refused before it is asked for");
    }
    if (world.has("service")) {
      try (KmsClient client = KmsClient.builder(world.text("service")).insecure().deadline(Main.PATIENCE).token(() -> tokens.get(0)).build()) {
        checks.equal(Status.Code.OK, call(client), "a token without TLS to this machine");
      }
    }
  }

  private Status.Code call(KmsClient client) {
    try {
      client.kms().generateDataKey(GenerateDataKeyRequest.newBuilder().setTenantId(world.text("tenant")).build());
      return Status.Code.OK;
    } catch (StatusRuntimeException e) {
      return e.getStatus().getCode();
    }
  }
}
