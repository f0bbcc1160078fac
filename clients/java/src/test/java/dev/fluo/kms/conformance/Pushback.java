package dev.fluo.kms.conformance;

import dev.fluo.kms.ErrorDetails;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.v1.DisableKeyRequest;
import dev.fluo.kms.v1.GetCheckpointRequest;
import dev.fluo.kms.v1.ListKeysRequest;
import dev.fluo.kms.v1.RotateRequest;
import dev.fluo.kms.v1.StatusRequest;
import dev.fluo.kms.v1.ValidateRequest;
import dev.fluo.kms.v1.VerifyAuditRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** {@code pushback}: which calls are repeated, and when. The stand-in counts them. */
final class Pushback {
  private static final long PUSHBACK_MS = 1500;

  private final KmsClient client;
  private final Checks checks;

  private Pushback(KmsClient client, Checks checks) {
    this.client = client;
    this.checks = checks;
  }

  static void run(World world, Checks checks) {
    try (KmsClient client = world.client()) {
      new Pushback(client, checks).run();
    }
  }

  private void run() {
    status("unavailable-twice", Status.Code.OK);
    long before = System.nanoTime();
    status("exhausted-once", Status.Code.OK);
    long tookMs = (System.nanoTime() - before) / 1_000_000;
    checks.that(tookMs >= PUSHBACK_MS, "pushback is heeded", "repeated after " + tookMs + " ms");
    status("never", Status.Code.UNAVAILABLE);
    status("always", Status.Code.UNAVAILABLE);
    status("invalid", Status.Code.INVALID_ARGUMENT);
    details();
    String twice = "unavailable-twice";
    ends(Status.Code.OK, "GetCheckpoint", () -> client.log().getCheckpoint(
        GetCheckpointRequest.newBuilder().setTenantId(twice).build()));
    ends(Status.Code.OK, "ListKeys", () -> client.keyAdmin().listKeys(
        ListKeysRequest.newBuilder().setTenantId(twice).build()));
    String always = "always";
    ends(Status.Code.UNAVAILABLE, "Rotate", () -> client.kms().rotate(
        RotateRequest.newBuilder().setTenantId(always).build()));
    ends(Status.Code.UNAVAILABLE, "Validate", () -> client.kms().validate(
        ValidateRequest.newBuilder().setTenantId(always).build()));
    ends(Status.Code.UNAVAILABLE, "VerifyAudit", () -> client.keyAdmin().verifyAudit(
        VerifyAuditRequest.getDefaultInstance()));
    ends(Status.Code.UNAVAILABLE, "DisableKey", () -> client.keyAdmin().disableKey(
        DisableKeyRequest.newBuilder().setTenantId(always).build()));
  }

  private void status(String tenant, Status.Code wanted) {
    ends(wanted, tenant, () -> client.kms().status(StatusRequest.newBuilder().setTenantId(tenant).build()));
  }

  private void details() {
    try {
      client.kms().status(StatusRequest.newBuilder().setTenantId("details").build());
      checks.that(false, "details", "the call succeeded");
    } catch (StatusRuntimeException e) {
      ErrorDetails wanted =
          new ErrorDetails(
              "QUOTA",
              List.of(new ErrorDetails.FieldViolation("a.b", "too many")),
              Optional.of(Duration.ofMillis(7500)));
      checks.equal(wanted, ErrorDetails.of(e), "details");
    }
  }

  private void ends(Status.Code wanted, String what, Runnable call) {
    Status.Code code = Status.Code.OK;
    try {
      call.run();
    } catch (StatusRuntimeException e) {
      code = e.getStatus().getCode();
    }
    checks.equal(wanted, code, what);
  }
}
