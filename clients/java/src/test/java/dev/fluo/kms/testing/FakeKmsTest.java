package dev.fluo.kms.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import dev.fluo.kms.ErrorDetails;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.Pii;
import dev.fluo.kms.PiiException;
import dev.fluo.kms.PiiRecords;
import dev.fluo.kms.SpanVerifier;
import dev.fluo.kms.Vectors;
import dev.fluo.kms.v1.DecryptDataKeyRequest;
import dev.fluo.kms.v1.DecryptPiiRequest;
import dev.fluo.kms.v1.DecryptedField;
import dev.fluo.kms.v1.EncryptPiiRequest;
import dev.fluo.kms.v1.EncryptedField;
import dev.fluo.kms.v1.GenerateDataKeyRequest;
import dev.fluo.kms.v1.KmsServiceGrpc;
import dev.fluo.kms.v1.LogProof;
import dev.fluo.kms.v1.PlainField;
import dev.fluo.kms.v1.SignSpanRequest;
import dev.fluo.kms.v1.SignSpanResponse;
import dev.fluo.kms.v1.SignedStatement;
import dev.fluo.kms.v1.Span;
import dev.fluo.kms.v1.StatusRequest;
import dev.fluo.kms.v1.VerifyReason;
import dev.fluo.kms.v1.VerifySpanRequest;
import dev.fluo.kms.v1.VerifySpanResponse;
import dev.fluo.kms.verify.KeySet;
import io.grpc.CallOptions;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.io.ByteArrayOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(300)
class FakeKmsTest {
  private static final Path REFUSALS = Path.of("../conformance/refusals.json");
  private static final Metadata.Key<String> PUSHBACK =
      Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER);

  @AutoClose private final FakeKms fake = FakeKms.start();
  private final KmsClient kms = fake.client();

  record Customer(@Pii("email") String email) {}

  @Test
  void opensTheTokensOfTheVectorsAndRefusesTheOthers() throws Exception {
    for (JsonElement each : Vectors.read("pii/tokens.json").getAsJsonArray()) {
      JsonObject vector = each.getAsJsonObject();
      DecryptedField opened = opened(vector);
      byte[] value = opened.getValue().toByteArray();
      assertFalse(opened.hasError(), Vectors.text(vector, "name"));
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(value);
      assertArrayEquals(Vectors.hex(vector, "plaintext_sha256"), digest, Vectors.text(vector, "name"));
    }
    for (JsonElement each : Vectors.read("pii/rejected.json").getAsJsonArray()) {
      DecryptedField refused = opened(each.getAsJsonObject());
      String name = Vectors.text(each.getAsJsonObject(), "name");
      assertEquals(Status.Code.INVALID_ARGUMENT.value(), refused.getError().getCode(), name);
      assertEquals("fields[0].token", refused.getError().getField(), name);
      assertEquals("ciphertext rejected", refused.getError().getMessage(), name);
    }
    for (JsonElement each : Vectors.read("pii/reserved.json").getAsJsonArray()) {
      JsonObject vector = each.getAsJsonObject();
      DecryptedField refused = opened("acme", "email", Map.of(), Vectors.text(vector, "token"));
      assertEquals(Status.Code.INVALID_ARGUMENT.value(), refused.getError().getCode());
      assertTrue(refused.getError().getMessage().startsWith(Vectors.text(vector, "says")), refused.toString());
    }
  }

  @Test
  void opensTheDataKeysOfTheVectors() throws Exception {
    for (JsonElement each : Vectors.read("pii/data-key-blobs.json").getAsJsonArray()) {
      JsonObject vector = each.getAsJsonObject();
      DecryptDataKeyRequest.Builder request =
          DecryptDataKeyRequest.newBuilder()
              .setTenantId(Vectors.text(vector, "tenant_id"))
              .putAllEncryptionContext(pairs(vector))
              .setCiphertextBlob(ByteString.copyFrom(Vectors.hex(vector, "ciphertext_blob")));
      assertArrayEquals(
          Vectors.hex(vector, "plaintext"), kms.decryptDataKey(request.build()).getPlaintext().toByteArray());
      StatusRuntimeException refused =
          assertThrows(
              StatusRuntimeException.class, () -> kms.decryptDataKey(request.setTenantId("globex").build()));
      assertEquals("CIPHERTEXT_REJECTED", ErrorDetails.of(refused).reason());
      assertEquals("ciphertext rejected", refused.getStatus().getDescription());
    }
  }

  @Test
  void writesAContextInItsOneSpelling() throws Exception {
    for (JsonElement each : Vectors.read("pii/contexts.json").getAsJsonArray()) {
      JsonObject vector = each.getAsJsonObject();
      CanonicalContext context = new CanonicalContext(Vectors.text(vector, "tenant_id"), pairs(vector));
      assertArrayEquals(
          Vectors.hex(vector, "canonical_context"),
          context.of(Vectors.text(vector, "field")),
          Vectors.text(vector, "name"));
    }
  }

  @Test
  void signsAsTheVectorsDo() throws Exception {
    JsonObject vectors = Vectors.read("span/accepted.json").getAsJsonObject();
    Clock clock = Clock.fixed(Instant.parse(Vectors.text(vectors, "signedAt")), ZoneOffset.UTC);
    try (FakeKms then = FakeKms.start(clock)) {
      for (JsonElement each : vectors.getAsJsonArray("spans")) {
        JsonObject vector = each.getAsJsonObject();
        String name = Vectors.text(vector, "name");
        byte[] request = Vectors.hex(vector, "signSpanRequest");
        SignSpanResponse response = sign(then, request);
        assertEquals(Vectors.text(vector, "statement"), response.getStatement().toStringUtf8(), name);
        assertArrayEquals(Vectors.hex(vector, "signature"), response.getSignature().toByteArray(), name);
        verifies(then, SignSpanRequest.parseFrom(request), response);
      }
    }
  }

  private static void verifies(FakeKms by, SignSpanRequest signed, SignSpanResponse response) {
    // One of the vectors has another signature's attributes, which are not signed.
    Span.Builder bare = signed.getSpan().toBuilder().clearAttributes();
    signed.getSpan().getAttributesList().stream()
        .filter(each -> response.getAttributesList().stream().noneMatch(own -> own.getKey().equals(each.getKey())))
        .forEach(bare::addAttributes);
    Span span = bare.build().toBuilder().addAllAttributes(response.getAttributesList()).build();
    VerifySpanRequest.Builder request = VerifySpanRequest.newBuilder().setTenantId("acme").setSpan(span);
    if (signed.hasResource()) {
      request.setResource(signed.getResource());
    }
    if (signed.hasScope()) {
      request.setScope(signed.getScope());
    }
    VerifySpanResponse verified = by.client().verifySpan(request.build());
    assertTrue(verified.getVerified(), verified.toString());
    assertEquals(response.getSignedAt(), verified.getSignedAt());
    assertTrue(new SpanVerifier(KeySet.parse(by.keySet())).verify(request.build()).verified());
    VerifySpanRequest.Builder altered = request.build().toBuilder();
    altered.getSpanBuilder().setName(span.getName() + "!");
    assertEquals(
        VerifyReason.VERIFY_REASON_SIGNATURE_MISMATCH, by.client().verifySpan(altered.build()).getReason());
    VerifySpanRequest.Builder apart =
        request
            .setSpan(signed.getSpan())
            .setSignedStatement(
                SignedStatement.newBuilder()
                    .setStatement(response.getStatement())
                    .setSignature(response.getSignature()));
    assertTrue(by.client().verifySpan(apart.build()).getVerified());
    assertEquals(
        VerifyReason.VERIFY_REASON_MALFORMED,
        by.client().verifySpan(apart.setLogProof(LogProof.newBuilder().setProof("none")).build()).getReason());
  }

  @Test
  void refusesToSignWhatTheServiceRefuses() throws Exception {
    for (JsonElement each : Vectors.read("span/refused.json").getAsJsonArray()) {
      JsonObject vector = each.getAsJsonObject();
      byte[] span = Vectors.hex(vector, "span");
      ByteArrayOutputStream request = new ByteArrayOutputStream();
      CodedOutputStream out = CodedOutputStream.newInstance(request);
      out.writeString(SignSpanRequest.TENANT_ID_FIELD_NUMBER, "acme");
      out.writeByteArray(SignSpanRequest.SPAN_FIELD_NUMBER, span);
      out.flush();
      String name = Vectors.text(vector, "name");
      StatusRuntimeException refused =
          assertThrows(StatusRuntimeException.class, () -> sign(fake, request.toByteArray()), name);
      assertEquals(Status.Code.INVALID_ARGUMENT, refused.getStatus().getCode(), name);
      if (!vector.get("field").isJsonNull()) {
        assertEquals(
            Vectors.text(vector, "field"), ErrorDetails.of(refused).fields().get(0).field(), name);
      }
    }
    assertField("span", () -> kms.signSpan(SignSpanRequest.newBuilder().setTenantId("acme").build()));
  }

  @Test
  void hasTheServicesReasonsAndNoOthers() throws Exception {
    JsonArray rows = com.google.gson.JsonParser.parseString(Files.readString(REFUSALS)).getAsJsonArray();
    IllegalArgumentException unknown =
        assertThrows(IllegalArgumentException.class, () -> fake.refuse("EncryptPii", "NO_SUCH"));
    List<String> names = rows.asList().stream().map(row -> Vectors.text(row.getAsJsonObject(), "reason")).toList();
    assertEquals(
        "no reason NO_SUCH; there are " + String.join(", ", names), unknown.getMessage());
    for (JsonElement each : rows) {
      JsonObject row = each.getAsJsonObject();
      Reason reason = Reason.of(Vectors.text(row, "reason"));
      assertEquals(row.get("code").getAsInt(), reason.code(), reason.name());
      Optional<Duration> delay =
          row.has("retryMs") ? Optional.of(Duration.ofMillis(row.get("retryMs").getAsLong())) : Optional.empty();
      assertEquals(delay, reason.retryAfter(), reason.name());
      Optional<String> pushback = row.has("pushback") ? Optional.of(Vectors.text(row, "pushback")) : Optional.empty();
      assertEquals(pushback, reason.pushback(), reason.name());
      StatusRuntimeException error = Refusal.of(reason).asException();
      assertEquals(reason.name(), ErrorDetails.of(error).reason());
      assertEquals(delay, ErrorDetails.of(error).retryAfter());
      assertEquals(pushback.orElse(null), error.getTrailers().get(PUSHBACK));
    }
  }

  @Test
  void refusesByNameUntilItIsAllowed() {
    Customer ann = new Customer("ann@example.com");
    fake.refuse("EncryptPii", "KEY_UNUSABLE");
    for (int i = 0; i < 2; i++) {
      StatusRuntimeException refused =
          assertThrows(StatusRuntimeException.class, () -> PiiRecords.encrypt(kms, "acme", ann));
      assertEquals(Status.Code.FAILED_PRECONDITION, refused.getStatus().getCode());
      assertEquals("KEY_UNUSABLE", ErrorDetails.of(refused).reason());
    }
    fake.allow("EncryptPii");
    Customer stored = PiiRecords.encrypt(kms, "acme", ann);
    assertEquals(ann, PiiRecords.decrypt(kms, "acme", stored));
    assertThrows(PiiException.class, () -> PiiRecords.decrypt(kms, "globex", stored));
    fake.refuse("DecryptPii", "NOT_FOUND", 1);
    assertThrows(StatusRuntimeException.class, () -> PiiRecords.decrypt(kms, "acme", stored));
    assertEquals(ann, PiiRecords.decrypt(kms, "acme", stored));
    IllegalArgumentException unknown =
        assertThrows(IllegalArgumentException.class, () -> fake.refuse("SignSpans", "OVERLOADED"));
    assertTrue(unknown.getMessage().endsWith(String.join(", ", Refusals.RPCS)), unknown.getMessage());
    assertThrows(IllegalArgumentException.class, () -> fake.refuse("EncryptPii", "OVERLOADED", 0));
  }

  @Test
  void hasItsCallsRepeatedAsThoseOfTheServiceAre() {
    Customer ann = new Customer("ann@example.com");
    fake.refuse("EncryptPii", "DRAINING", 3);
    assertTrue(PiiRecords.encrypt(kms, "acme", ann).email().startsWith("fk1."));
    fake.refuse("EncryptPii", "MESSAGE_TOO_LARGE", 1);
    // By its pushback, which is -1.
    assertThrows(StatusRuntimeException.class, () -> PiiRecords.encrypt(kms, "acme", ann));
    assertTrue(PiiRecords.encrypt(kms, "acme", ann).email().startsWith("fk1."));
  }

  @Test
  void refusesRequestsInTheServicesWords() {
    GenerateDataKeyRequest.Builder key = GenerateDataKeyRequest.newBuilder();
    assertField("tenant_id", () -> kms.generateDataKey(key.build()));
    assertField("tenant_id", () -> kms.generateDataKey(key.setTenantId("Acme Ltd").build()));
    assertField("key_spec", () -> kms.generateDataKey(key.setTenantId("acme").setKeySpecValue(7).build()));
    key.clearKeySpec();
    for (int i = 0; i < 17; i++) {
      key.putEncryptionContext("k" + i, "");
    }
    assertField("encryption_context", () -> kms.generateDataKey(key.build()));
    key.clearEncryptionContext().putEncryptionContext("k", "v".repeat(4096));
    assertField("encryption_context", () -> kms.generateDataKey(key.build()));

    assertField("fields", () -> kms.encryptPii(fields(0, 0)));
    assertField("fields", () -> kms.encryptPii(fields(1001, 0)));
    assertEquals(1000, kms.encryptPii(fields(1000, 1)).getFieldsCount());
    assertField("fields[0].value", () -> kms.encryptPii(fields(1, 65_537)));
    assertEquals(1, kms.encryptPii(fields(1, 65_536)).getFieldsCount());
    assertField("fields", () -> kms.encryptPii(fields(40, 60_000)));
    EncryptPiiRequest.Builder names = EncryptPiiRequest.newBuilder().setTenantId("acme");
    assertField("fields[0].name", () -> kms.encryptPii(names.addFields(PlainField.newBuilder()).build()));
    names.clearFields().addFields(PlainField.newBuilder().setName("n".repeat(257)));
    assertField("fields[0].name", () -> kms.encryptPii(names.build()));
  }

  @Test
  void opensValuesOfEachLengthThatHasABorder() {
    for (int length : new int[] {0, 1, 16_383, 16_384, 16_385, 32_768, 65_536}) {
      EncryptedField token = kms.encryptPii(fields(1, length)).getFields(0);
      assertEquals(length, opened("acme", "f0", Map.of(), token.getToken()).getValue().size());
    }
    assertEquals(
        16,
        kms.generateDataKey(GenerateDataKeyRequest.newBuilder().setTenantId("acme").setKeySpecValue(2).build())
            .getPlaintext()
            .size());
    assertTrue(
        kms.generateDataKey(
                GenerateDataKeyRequest.newBuilder().setTenantId("acme").setWithoutPlaintext(true).build())
            .getPlaintext()
            .isEmpty());
  }

  @Test
  void saysWhatItLeavesOut() {
    StatusRuntimeException error =
        assertThrows(StatusRuntimeException.class, () -> kms.kms().status(StatusRequest.getDefaultInstance()));
    assertEquals(Status.Code.UNIMPLEMENTED, error.getStatus().getCode());
    assertTrue(error.getMessage().contains("has no log and no administration"), error.getMessage());
    assertTrue(error.getMessage().contains("npm start"), error.getMessage());
    assertThrows(
        StatusRuntimeException.class,
        () -> kms.listKeys(dev.fluo.kms.v1.ListKeysRequest.getDefaultInstance()).iterator().hasNext());
  }

  private static EncryptPiiRequest fields(int count, int bytes) {
    EncryptPiiRequest.Builder request = EncryptPiiRequest.newBuilder().setTenantId("acme");
    ByteString value = ByteString.copyFrom(new byte[bytes]);
    for (int i = 0; i < count; i++) {
      request.addFields(PlainField.newBuilder().setName("f" + i).setValue(value));
    }
    return request.build();
  }

  private void assertField(String field, Runnable call) {
    StatusRuntimeException error = assertThrows(StatusRuntimeException.class, call::run);
    assertEquals(Status.Code.INVALID_ARGUMENT, error.getStatus().getCode());
    ErrorDetails details = ErrorDetails.of(error);
    assertEquals("INVALID_ARGUMENT", details.reason());
    assertEquals(List.of(field), details.fields().stream().map(ErrorDetails.FieldViolation::field).toList());
    assertEquals(field + ": " + details.fields().get(0).description(), error.getStatus().getDescription());
  }

  private DecryptedField opened(JsonObject vector) {
    return opened(
        Vectors.text(vector, "tenant_id"),
        Vectors.text(vector, "field"),
        pairs(vector),
        Vectors.text(vector, "token"));
  }

  private DecryptedField opened(String tenant, String name, Map<String, String> context, String token) {
    return kms.decryptPii(
            DecryptPiiRequest.newBuilder()
                .setTenantId(tenant)
                .putAllEncryptionContext(context)
                .addFields(EncryptedField.newBuilder().setName(name).setToken(token))
                .build())
        .getFields(0);
  }

  private static Map<String, String> pairs(JsonObject vector) {
    Map<String, String> pairs = new LinkedHashMap<>();
    for (JsonElement pair : vector.getAsJsonArray("pairs")) {
      pairs.put(pair.getAsJsonArray().get(0).getAsString(), pair.getAsJsonArray().get(1).getAsString());
    }
    return pairs;
  }

  /** Sends the request as it is: the messages of the stub would merge what is there twice. */
  private static SignSpanResponse sign(FakeKms by, byte[] request) {
    MethodDescriptor<byte[], SignSpanResponse> method =
        KmsServiceGrpc.getSignSpanMethod()
            .toBuilder(new BytesMarshaller(), KmsServiceGrpc.getSignSpanMethod().getResponseMarshaller())
            .build();
    return ClientCalls.blockingUnaryCall(by.client().channel(), method, CallOptions.DEFAULT, request);
  }
}
