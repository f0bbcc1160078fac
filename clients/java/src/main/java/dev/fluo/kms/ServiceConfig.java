package dev.fluo.kms;

import dev.fluo.kms.v1.KeyAdminServiceGrpc;
import dev.fluo.kms.v1.KmsServiceGrpc;
import dev.fluo.kms.v1.LogServiceGrpc;
import io.grpc.MethodDescriptor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Which calls gRPC repeats by itself, and how: those that change nothing, or nothing twice. The service's pushback
 * ({@code grpc-retry-pushback-ms}) wins.
 */
final class ServiceConfig {
  private static final List<MethodDescriptor<?, ?>> REPEATABLE =
      List.of(
          KmsServiceGrpc.getGenerateDataKeyMethod(),
          KmsServiceGrpc.getDecryptDataKeyMethod(),
          KmsServiceGrpc.getEncryptPiiMethod(),
          KmsServiceGrpc.getDecryptPiiMethod(),
          KmsServiceGrpc.getReEncryptPiiMethod(),
          KmsServiceGrpc.getSignSpanMethod(),
          KmsServiceGrpc.getVerifySpanMethod(),
          KmsServiceGrpc.getGetPublicKeysMethod(),
          KmsServiceGrpc.getStatusMethod(),
          LogServiceGrpc.getGetCheckpointMethod(),
          LogServiceGrpc.getGetInclusionProofMethod(),
          LogServiceGrpc.getGetConsistencyProofMethod(),
          KeyAdminServiceGrpc.getListKeysMethod(),
          KeyAdminServiceGrpc.getListAuditEventsMethod());

  private ServiceConfig() {}

  static Map<String, Object> retries() {
    List<Object> names = new ArrayList<>();
    for (MethodDescriptor<?, ?> method : REPEATABLE) {
      names.add(Map.of("service", method.getServiceName(), "method", method.getBareMethodName()));
    }
    Map<String, Object> policy =
        Map.of(
            "maxAttempts", 4.0,
            "initialBackoff", "0.1s",
            "maxBackoff", "2s",
            "backoffMultiplier", 2.0,
            "retryableStatusCodes", List.of("UNAVAILABLE", "RESOURCE_EXHAUSTED"));
    return Map.of("methodConfig", List.of(Map.of("name", names, "retryPolicy", policy)));
  }
}
