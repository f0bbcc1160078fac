package dev.fluo.kms.testing;

import com.google.protobuf.ByteString;
import com.google.protobuf.Timestamp;
import dev.fluo.kms.v1.AnyValue;
import dev.fluo.kms.v1.DecryptDataKeyRequest;
import dev.fluo.kms.v1.DecryptDataKeyResponse;
import dev.fluo.kms.v1.DecryptPiiRequest;
import dev.fluo.kms.v1.DecryptPiiResponse;
import dev.fluo.kms.v1.DecryptedField;
import dev.fluo.kms.v1.EncryptPiiRequest;
import dev.fluo.kms.v1.EncryptPiiResponse;
import dev.fluo.kms.v1.EncryptedField;
import dev.fluo.kms.v1.GenerateDataKeyRequest;
import dev.fluo.kms.v1.GenerateDataKeyResponse;
import dev.fluo.kms.v1.ItemError;
import dev.fluo.kms.v1.KeyState;
import dev.fluo.kms.v1.KeyValue;
import dev.fluo.kms.v1.KmsServiceGrpc;
import dev.fluo.kms.v1.PlainField;
import dev.fluo.kms.v1.SignSpanResponse;
import dev.fluo.kms.v1.VerifyReason;
import dev.fluo.kms.v1.VerifySpanResponse;
import dev.fluo.kms.verify.KeySet;
import dev.fluo.kms.verify.MalformedSpanException;
import dev.fluo.kms.verify.SpanStatement;
import dev.fluo.kms.verify.Verdict;
import dev.fluo.kms.verify.Verifier;
import io.grpc.MethodDescriptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.stub.ServerCalls;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.function.Function;
import java.util.regex.Pattern;

/** The calls that the fake serves, with the service's limits and words. */
final class FakeService {
  private static final Pattern TENANT = Pattern.compile("[a-z0-9][a-z0-9._-]{0,62}");
  private static final int MOST_FIELDS = 1000;
  private static final int MOST_NAME_BYTES = 256;
  private static final int MOST_TOTAL_BYTES = 2 * 1024 * 1024;
  private static final SecureRandom RANDOM = new SecureRandom();

  private final Clock clock;
  private final Refusals refusals;
  private final Verifier verifier = new Verifier(KeySet.parse(FakeKey.JWKS));

  FakeService(Clock clock, Refusals refusals) {
    this.clock = clock;
    this.refusals = refusals;
  }

  ServerServiceDefinition definition() {
    ServerServiceDefinition.Builder service = ServerServiceDefinition.builder(KmsServiceGrpc.SERVICE_NAME);
    add(service, KmsServiceGrpc.getGenerateDataKeyMethod(), this::generateDataKey);
    add(service, KmsServiceGrpc.getDecryptDataKeyMethod(), this::decryptDataKey);
    add(service, KmsServiceGrpc.getEncryptPiiMethod(), this::encryptPii);
    add(service, KmsServiceGrpc.getDecryptPiiMethod(), this::decryptPii);
    add(service, raw(KmsServiceGrpc.getSignSpanMethod()), this::signSpan);
    add(service, raw(KmsServiceGrpc.getVerifySpanMethod()), this::verifySpan);
    return service.build();
  }

  private static <A> MethodDescriptor<byte[], A> raw(MethodDescriptor<?, A> method) {
    return method.toBuilder(new BytesMarshaller(), method.getResponseMarshaller()).build();
  }

  private <Q, A> void add(
      ServerServiceDefinition.Builder service, MethodDescriptor<Q, A> method, Function<Q, A> answer) {
    service.addMethod(
        method,
        ServerCalls.asyncUnaryCall(
            (request, answers) -> {
              A answered;
              try {
                refusals.check(method.getBareMethodName());
                answered = answer.apply(request);
              } catch (Refusal e) {
                answers.onError(e.asException());
                return;
              }
              answers.onNext(answered);
              answers.onCompleted();
            }));
  }

  private GenerateDataKeyResponse generateDataKey(GenerateDataKeyRequest request) {
    checkTenant(request.getTenantId());
    int bytes =
        switch (request.getKeySpec()) {
          case KEY_SPEC_UNSPECIFIED, KEY_SPEC_AES_256 -> 32;
          case KEY_SPEC_AES_128 -> 16;
          case UNRECOGNIZED -> throw Refusal.invalidField("key_spec", "is not a known KeySpec");
        };
    CanonicalContext context = new CanonicalContext(request.getTenantId(), request.getEncryptionContextMap());
    byte[] plaintext = new byte[bytes];
    RANDOM.nextBytes(plaintext);
    GenerateDataKeyResponse.Builder response =
        GenerateDataKeyResponse.newBuilder()
            .setCiphertextBlob(ByteString.copyFrom(Envelope.DATA_KEY.seal(context.of(""), plaintext)))
            .setKeyId(FakeKey.ID);
    if (!request.getWithoutPlaintext()) {
      response.setPlaintext(ByteString.copyFrom(plaintext));
    }
    return response.build();
  }

  private DecryptDataKeyResponse decryptDataKey(DecryptDataKeyRequest request) {
    checkTenant(request.getTenantId());
    CanonicalContext context = new CanonicalContext(request.getTenantId(), request.getEncryptionContextMap());
    byte[] plaintext = Envelope.DATA_KEY.open(context.of(""), request.getCiphertextBlob().toByteArray());
    return DecryptDataKeyResponse.newBuilder()
        .setPlaintext(ByteString.copyFrom(plaintext))
        .setKeyId(FakeKey.ID)
        .build();
  }

  private EncryptPiiResponse encryptPii(EncryptPiiRequest request) {
    checkTenant(request.getTenantId());
    checkNames(request.getFieldsList().stream().map(PlainField::getName).toList());
    checkValues(request.getFieldsList());
    CanonicalContext context = new CanonicalContext(request.getTenantId(), request.getEncryptionContextMap());
    EncryptPiiResponse.Builder response = EncryptPiiResponse.newBuilder().setKeyId(FakeKey.ID);
    for (PlainField each : request.getFieldsList()) {
      String token = Envelope.token(context.of(each.getName()), each.getValue().toByteArray());
      response.addFields(EncryptedField.newBuilder().setName(each.getName()).setToken(token));
    }
    return response.build();
  }

  private DecryptPiiResponse decryptPii(DecryptPiiRequest request) {
    checkTenant(request.getTenantId());
    checkNames(request.getFieldsList().stream().map(EncryptedField::getName).toList());
    CanonicalContext context = new CanonicalContext(request.getTenantId(), request.getEncryptionContextMap());
    DecryptPiiResponse.Builder response = DecryptPiiResponse.newBuilder();
    for (EncryptedField each : request.getFieldsList()) {
      DecryptedField.Builder field = DecryptedField.newBuilder().setName(each.getName());
      try {
        field.setValue(ByteString.copyFrom(Envelope.openToken(context.of(each.getName()), each.getToken())));
      } catch (Refusal e) {
        field.setError(
            ItemError.newBuilder()
                .setCode(e.code())
                .setField("fields[" + response.getFieldsCount() + "].token")
                .setMessage(e.getMessage()));
      }
      response.addFields(field);
    }
    return response.build();
  }

  private SignSpanResponse signSpan(byte[] message) {
    SpanRequest request = SpanRequest.read(message);
    SpanStatement statement = statement(request);
    checkTenant(request.tenant());
    byte[] signature = FakeKey.sign(statement.encoded());
    return SignSpanResponse.newBuilder()
        .setStatement(ByteString.copyFrom(statement.statement()))
        .setSignature(ByteString.copyFrom(signature))
        .setKeyId(FakeKey.ID)
        .setSignedAt(timestamp(statement.signedAt()))
        .addAttributes(attribute("algorithm", "EdDSA"))
        .addAttributes(attribute("value", Base64.getEncoder().encodeToString(signature)))
        .addAttributes(attribute("key_id", FakeKey.ID))
        .addAttributes(attribute("tenant", request.tenant()))
        .addAttributes(attribute("signed_at", statement.signedAt()))
        .build();
  }

  private VerifySpanResponse verifySpan(byte[] message) {
    SpanRequest request = SpanRequest.read(message);
    // The verifier calls a span malformed that the service does not read.
    statement(request);
    checkTenant(request.tenant());
    Verdict verdict =
        verifier.verify(
            request.tenant(), request.resource(), request.scope(), request.span(), request.evidence());
    VerifySpanResponse.Builder response =
        VerifySpanResponse.newBuilder()
            .setVerified(verdict.verified())
            .setReason(VerifyReason.valueOf("VERIFY_REASON_" + verdict.reason().name()))
            .setMessage(verdict.explanation());
    verdict.keyId().ifPresent(response::setKeyId);
    verdict.keyState().ifPresent(state -> response.setKeyState(KeyState.valueOf("KEY_STATE_" + state.name())));
    verdict.signedAt().ifPresent(at -> response.setSignedAt(timestamp(at)));
    return response.build();
  }

  private SpanStatement statement(SpanRequest request) {
    try {
      return SpanStatement.of(
          request.tenant(), FakeKey.ID, clock.instant(), request.resource(), request.scope(), request.span());
    } catch (MalformedSpanException e) {
      throw Refusal.invalidField(e.field(), e.description());
    }
  }

  private static Timestamp timestamp(String signedAt) {
    Instant at = Instant.parse(signedAt);
    return Timestamp.newBuilder().setSeconds(at.getEpochSecond()).setNanos(at.getNano()).build();
  }

  private static KeyValue attribute(String name, String text) {
    return KeyValue.newBuilder()
        .setKey("audit.integrity." + name)
        .setValue(AnyValue.newBuilder().setStringValue(text))
        .build();
  }

  private static void checkTenant(String tenant) {
    if (!TENANT.matcher(tenant).matches()) {
      throw Refusal.invalidField(
          "tenant_id",
          tenant.isEmpty()
              ? "is required"
              : "must match ^[a-z0-9][a-z0-9._-]{0,62}$: lower-case ASCII, at most 63 characters");
    }
  }

  private static void checkNames(List<String> names) {
    if (names.isEmpty()) {
      throw Refusal.invalidField("fields", "at least one field is required");
    }
    if (names.size() > MOST_FIELDS) {
      throw Refusal.invalidField(
          "fields", "at most " + MOST_FIELDS + " fields a call, not " + names.size() + ": split the call");
    }
    List<Refusal.Violation> violations = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      String field = "fields[" + i + "].name";
      if (names.get(i).isEmpty()) {
        violations.add(
            new Refusal.Violation(field, "is required: the token opens only under the same name"));
      } else if (names.get(i).getBytes(StandardCharsets.UTF_8).length > MOST_NAME_BYTES) {
        violations.add(new Refusal.Violation(field, "at most " + MOST_NAME_BYTES + " bytes"));
      }
    }
    refuseIfAny(violations);
  }

  private static void checkValues(List<PlainField> fields) {
    List<Refusal.Violation> violations = new ArrayList<>();
    long total = 0;
    for (int i = 0; i < fields.size(); i++) {
      total += fields.get(i).getValue().size();
      if (fields.get(i).getValue().size() > Envelope.MOST_VALUE_BYTES) {
        violations.add(
            new Refusal.Violation("fields[" + i + "].value", "at most " + Envelope.MOST_VALUE_BYTES + " bytes"));
      }
    }
    if (violations.isEmpty() && total > MOST_TOTAL_BYTES) {
      violations.add(
          new Refusal.Violation(
              "fields", "values are at most " + MOST_TOTAL_BYTES + " bytes together: split the call"));
    }
    refuseIfAny(violations);
  }

  private static void refuseIfAny(List<Refusal.Violation> violations) {
    if (!violations.isEmpty()) {
      throw Refusal.invalid(violations);
    }
  }
}
