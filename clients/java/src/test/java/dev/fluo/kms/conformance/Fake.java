package dev.fluo.kms.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import dev.fluo.kms.ErrorDetails;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.PiiRecords;
import dev.fluo.kms.SealedFiles;
import dev.fluo.kms.SpanVerifier;
import dev.fluo.kms.testing.FakeKms;
import dev.fluo.kms.v1.DecryptDataKeyRequest;
import dev.fluo.kms.v1.DecryptPiiRequest;
import dev.fluo.kms.v1.DecryptedField;
import dev.fluo.kms.v1.EncryptPiiRequest;
import dev.fluo.kms.v1.EncryptedField;
import dev.fluo.kms.v1.GenerateDataKeyRequest;
import dev.fluo.kms.v1.PlainField;
import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.v1.ScopeSpans;
import dev.fluo.kms.v1.SignSpanRequest;
import dev.fluo.kms.v1.SignSpanResponse;
import dev.fluo.kms.v1.Span;
import dev.fluo.kms.v1.VerifySpanRequest;
import dev.fluo.kms.verify.KeySet;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** {@code fake}: the scenario, the refusals and the vectors against the fake, and what the fakes of others made. */
final class Fake {
  private static final Metadata.Key<String> PUSHBACK =
      Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER);

  private final World world;
  private final World scenario;
  private final Checks checks;
  private final FakeKms fake;
  private final KmsClient kms;
  private final SpanVerifier verifier;
  private final String tenant;
  private final Map<String, String> context;
  private final Path folder;

  private Fake(World world, Checks checks, FakeKms fake) throws IOException {
    this.world = world;
    this.scenario = world.file("scenario");
    this.checks = checks;
    this.fake = fake;
    this.kms = fake.client();
    this.verifier = new SpanVerifier(KeySet.parse(fake.keySet()));
    this.tenant = scenario.text("tenant");
    this.context = scenario.map("context");
    this.folder = Files.createTempDirectory(world.path("work"), "java-fake-");
  }

  static void run(World world, Checks checks) throws Exception {
    try (FakeKms fake = FakeKms.start()) {
      new Fake(world, checks, fake).run();
    }
  }

  private void run() throws Exception {
    JsonObject evidence = new JsonObject();
    evidence.addProperty("language", "java");
    evidence.addProperty("individual", base64(individual().toByteArray()));
    List<EncryptedField> tokens = tokens();
    JsonArray named = new JsonArray();
    for (EncryptedField each : tokens) {
      JsonObject token = new JsonObject();
      token.addProperty("name", each.getName());
      token.addProperty("token", each.getToken());
      named.add(token);
    }
    evidence.add("tokens", named);
    evidence.add("record", record());
    JsonObject pairs = new JsonObject();
    context.forEach(pairs::addProperty);
    evidence.add("context", pairs);
    evidence.addProperty("blob", base64(blob()));
    evidence.addProperty("sealed", base64(sealed()));
    Files.writeString(world.path("out"), evidence.toString());
    checks.step("refused request", this::refusedRequest);
    checks.step("refusals", this::refusals);
    checks.step("PII vectors", this::piiVectors);
    checks.step("span vectors", this::spanVectors);
    for (String path : world.texts("evidence")) {
      World others = World.read(Path.of(path));
      checks.step("the fake of " + others.text("language"), () -> evidence(others));
    }
  }

  private ResourceSpans individual() throws IOException {
    ResourceSpans.Builder signed = ResourceSpans.parseFrom(scenario.base64("batch")).toBuilder();
    ResourceSpans batch = signed.build();
    for (ScopeSpans.Builder scope : signed.getScopeSpansBuilderList()) {
      for (Span.Builder span : scope.getSpansBuilderList()) {
        SignSpanRequest.Builder request = SignSpanRequest.newBuilder().setTenantId(tenant).setSpan(span.build());
        if (batch.hasResource()) {
          request.setResource(batch.getResource());
        }
        if (scope.hasScope()) {
          request.setScope(scope.getScope());
        }
        span.addAllAttributes(kms.signSpan(request.build()).getAttributesList());
      }
    }
    verify(signed.build(), "own spans");
    return signed.build();
  }

  private void verify(ResourceSpans batch, String what) {
    for (ScopeSpans scope : batch.getScopeSpansList()) {
      for (Span span : scope.getSpansList()) {
        VerifySpanRequest request = request(batch, scope, span);
        VerifySpanRequest altered =
            request(batch, scope, span.toBuilder().setName(span.getName() + "!").build());
        checks.equal("OK", verifier.verify(request).reason().name(), what + " offline");
        checks.that(kms.verifySpan(request).getVerified(), what + " by VerifySpan", "does not verify");
        checks.that(!verifier.verify(altered).verified(), what + " altered, offline", "verifies");
        checks.that(!kms.verifySpan(altered).getVerified(), what + " altered, by VerifySpan", "verifies");
      }
    }
  }

  private VerifySpanRequest request(ResourceSpans batch, ScopeSpans scope, Span span) {
    VerifySpanRequest.Builder request = VerifySpanRequest.newBuilder().setTenantId(tenant).setSpan(span);
    if (batch.hasResource()) {
      request.setResource(batch.getResource());
    }
    if (scope.hasScope()) {
      request.setScope(scope.getScope());
    }
    return request.build();
  }

  private List<EncryptedField> tokens() {
    EncryptPiiRequest.Builder request =
        EncryptPiiRequest.newBuilder().setTenantId(tenant).putAllEncryptionContext(context);
    for (World field : scenario.objects("fields")) {
      request.addFields(
          PlainField.newBuilder().setName(field.text("name")).setValue(ByteString.copyFrom(field.base64("value"))));
    }
    List<EncryptedField> tokens = kms.encryptPii(request.build()).getFieldsList();
    open(tokens, "own tokens");
    return tokens;
  }

  private void open(List<EncryptedField> tokens, String what) {
    List<World> fields = scenario.objects("fields");
    List<DecryptedField> opened = decrypt(tenant, tokens, context);
    for (int i = 0; i < fields.size(); i++) {
      boolean isSame = Arrays.equals(fields.get(i).base64("value"), opened.get(i).getValue().toByteArray());
      checks.that(!opened.get(i).hasError() && isSame, what + " " + i, "opens to another value, or not at all");
    }
    EncryptedField moved = tokens.get(0).toBuilder().setName("other").build();
    DecryptedField refused = decrypt(tenant, List.of(moved), context).get(0);
    checks.equal(3, refused.getError().getCode(), what + " under another name");
    Map<String, String> other = new LinkedHashMap<>(context);
    other.put("other", "pair");
    for (List<DecryptedField> none : List.of(decrypt(tenant, tokens, other), decrypt("other", tokens, context))) {
      checks.that(none.stream().allMatch(DecryptedField::hasError), what + " elsewhere", "one opens");
    }
  }

  private List<DecryptedField> decrypt(String owner, List<EncryptedField> tokens, Map<String, String> pairs) {
    return kms.decryptPii(
            DecryptPiiRequest.newBuilder()
                .setTenantId(owner)
                .addAllFields(tokens)
                .putAllEncryptionContext(pairs)
                .build())
        .getFieldsList();
  }

  private JsonObject record() {
    Person plain = Person.of(scenario.object("record"));
    Person encrypted = PiiRecords.encrypt(kms, tenant, plain, context);
    checks.that(PiiRecords.decrypt(kms, tenant, encrypted, context).isSame(plain), "own record", "another");
    JsonObject record = new JsonObject();
    record.addProperty("email", encrypted.email());
    record.addProperty("note", new String(encrypted.note(), StandardCharsets.US_ASCII));
    record.addProperty("alias", encrypted.alias());
    return record;
  }

  private byte[] blob() {
    byte[] blob =
        kms.generateDataKey(
                GenerateDataKeyRequest.newBuilder().setTenantId(tenant).putAllEncryptionContext(context).build())
            .getCiphertextBlob()
            .toByteArray();
    open(blob, "own blob");
    return blob;
  }

  private void open(byte[] blob, String what) {
    DecryptDataKeyRequest request =
        DecryptDataKeyRequest.newBuilder()
            .setTenantId(tenant)
            .setCiphertextBlob(ByteString.copyFrom(blob))
            .putAllEncryptionContext(context)
            .build();
    checks.equal(32, kms.decryptDataKey(request).getPlaintext().size(), what);
  }

  private byte[] sealed() throws IOException {
    byte[] file = scenario.base64("file");
    Path plain = Files.write(folder.resolve("plain"), file);
    Path sealed = folder.resolve("sealed");
    SealedFiles.seal(kms, tenant, plain, sealed, context);
    SealedFiles.open(kms, tenant, sealed, folder.resolve("opened"), context);
    checks.that(Arrays.equals(file, Files.readAllBytes(folder.resolve("opened"))), "own file", "another");
    byte[] bytes = SealedFiles.sealBytes(kms, tenant, file, context);
    checks.that(Arrays.equals(file, SealedFiles.openBytes(kms, tenant, bytes, context)), "own bytes", "other ones");
    return Files.readAllBytes(sealed);
  }

  private void refusedRequest() {
    World refused = scenario.object("refused");
    StatusRuntimeException error =
        thrown(
            () ->
                kms.generateDataKey(GenerateDataKeyRequest.newBuilder().setTenantId(refused.text("tenant")).build()));
    ErrorDetails details = ErrorDetails.of(error);
    checks.equal(refused.text("code"), error.getStatus().getCode().name(), "code of a refused request");
    checks.equal(refused.text("reason"), details.reason(), "reason of a refused request");
    checks.equal(refused.text("field"), details.fields().get(0).field(), "field of a refused request");
  }

  private void refusals() throws IOException {
    EncryptPiiRequest request =
        EncryptPiiRequest.newBuilder().setTenantId(tenant).addFields(PlainField.newBuilder().setName("a")).build();
    for (JsonElement each : JsonParser.parseString(Files.readString(world.path("refusals"))).getAsJsonArray()) {
      World row = new World(each.getAsJsonObject());
      String reason = row.text("reason");
      fake.refuse("EncryptPii", reason);
      StatusRuntimeException error = thrown(() -> kms.encryptPii(request));
      checks.equal(row.number("code"), error.getStatus().getCode().value(), "code of " + reason);
      checks.equal(reason, ErrorDetails.of(error).reason(), "reason of " + reason);
      Optional<Integer> wanted = row.has("retryMs") ? Optional.of(row.number("retryMs")) : Optional.empty();
      Optional<Integer> found = ErrorDetails.of(error).retryAfter().map(delay -> (int) delay.toMillis());
      checks.equal(wanted, found, "delay of " + reason);
      checks.equal(row.textOr("pushback", null), error.getTrailers().get(PUSHBACK), "pushback of " + reason);
      fake.allow("EncryptPii");
      checks.equal(1, kms.encryptPii(request).getFieldsCount(), "a call after " + reason);
    }
  }

  private void piiVectors() throws Exception {
    for (World vector : vectors("pii/tokens.json")) {
      DecryptedField opened = opened(vector, vector.text("tenant_id"), vector.text("field"), pairs(vector));
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(opened.getValue().toByteArray());
      checks.equal(vector.text("plaintext_sha256"), HexFormat.of().formatHex(digest), vector.text("name"));
    }
    for (World vector : vectors("pii/rejected.json")) {
      DecryptedField refused = opened(vector, vector.text("tenant_id"), vector.text("field"), pairs(vector));
      checks.equal("ciphertext rejected", refused.getError().getMessage(), vector.text("name"));
      checks.equal("fields[0].token", refused.getError().getField(), vector.text("name"));
    }
    for (World vector : vectors("pii/reserved.json")) {
      DecryptedField refused = opened(vector, tenant, "email", Map.of());
      checks.that(refused.getError().getMessage().startsWith(vector.text("says")), vector.text("name"), refused);
    }
    for (World vector : vectors("pii/data-key-blobs.json")) {
      DecryptDataKeyRequest request =
          DecryptDataKeyRequest.newBuilder()
              .setTenantId(vector.text("tenant_id"))
              .putAllEncryptionContext(pairs(vector))
              .setCiphertextBlob(ByteString.copyFrom(HexFormat.of().parseHex(vector.text("ciphertext_blob"))))
              .build();
      byte[] opened = kms.decryptDataKey(request).getPlaintext().toByteArray();
      checks.equal(vector.text("plaintext"), HexFormat.of().formatHex(opened), vector.text("name"));
    }
  }

  private List<World> vectors(String name) throws IOException {
    List<World> vectors = new ArrayList<>();
    String text = Files.readString(world.path("vectors").resolve(name));
    JsonParser.parseString(text).getAsJsonArray().forEach(each -> vectors.add(new World(each.getAsJsonObject())));
    return vectors;
  }

  private static Map<String, String> pairs(World vector) {
    Map<String, String> pairs = new LinkedHashMap<>();
    for (JsonElement pair : vector.members().getAsJsonArray("pairs")) {
      pairs.put(pair.getAsJsonArray().get(0).getAsString(), pair.getAsJsonArray().get(1).getAsString());
    }
    return pairs;
  }

  private DecryptedField opened(World vector, String owner, String name, Map<String, String> pairs) {
    EncryptedField token = EncryptedField.newBuilder().setName(name).setToken(vector.text("token")).build();
    return decrypt(owner, List.of(token), pairs).get(0);
  }

  private void spanVectors() throws Exception {
    World accepted = World.read(world.path("vectors").resolve("span/accepted.json"));
    Clock clock = Clock.fixed(Instant.parse(accepted.text("signedAt")), ZoneOffset.UTC);
    try (FakeKms then = FakeKms.start(clock)) {
      for (World vector : accepted.objects("spans")) {
        SignSpanRequest request =
            SignSpanRequest.parseFrom(HexFormat.of().parseHex(vector.text("signSpanRequest")));
        SignSpanResponse response = then.client().signSpan(request);
        checks.equal(vector.text("statement"), response.getStatement().toStringUtf8(), vector.text("name"));
        checks.equal(
            vector.text("signature"),
            HexFormat.of().formatHex(response.getSignature().toByteArray()),
            vector.text("name"));
      }
    }
    for (World vector : vectors("span/refused.json")) {
      byte[] span = HexFormat.of().parseHex(vector.text("span"));
      StatusRuntimeException error = thrown(() -> RawSpans.sign(kms, tenant, span));
      String name = vector.text("name");
      checks.equal(3, error.getStatus().getCode().value(), name);
      if (vector.has("field")) {
        checks.equal(vector.text("field"), ErrorDetails.of(error).fields().get(0).field(), name);
      }
    }
  }

  private void evidence(World others) throws IOException {
    String who = others.text("language");
    verify(ResourceSpans.parseFrom(others.base64("individual")), who + "'s spans");
    open(
        others.objects("tokens").stream()
            .map(each -> EncryptedField.newBuilder().setName(each.text("name")).setToken(each.text("token")).build())
            .toList(),
        who + "'s tokens");
    World tokens = others.object("record");
    Person plain = Person.of(scenario.object("record"));
    byte[] note = tokens.text("note").getBytes(StandardCharsets.US_ASCII);
    Person encrypted = new Person(plain.id(), tokens.text("email"), note, tokens.text("alias"), null);
    checks.that(PiiRecords.decrypt(kms, tenant, encrypted, context).isSame(plain), who + "'s record", "another");
    open(others.base64("blob"), who + "'s blob");
    byte[] opened = SealedFiles.openBytes(kms, tenant, others.base64("sealed"), context);
    checks.that(Arrays.equals(scenario.base64("file"), opened), who + "'s file", "another");
  }

  private static StatusRuntimeException thrown(Runnable call) {
    try {
      call.run();
    } catch (StatusRuntimeException e) {
      return e;
    }
    throw new AssertionError("the call succeeded");
  }

  private static String base64(byte[] bytes) {
    return Base64.getEncoder().encodeToString(bytes);
  }
}
