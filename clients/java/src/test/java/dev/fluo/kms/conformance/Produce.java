package dev.fluo.kms.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.protobuf.ByteString;
import dev.fluo.kms.ErrorDetails;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.PiiRecords;
import dev.fluo.kms.SealedFiles;
import dev.fluo.kms.v1.EncryptPiiRequest;
import dev.fluo.kms.v1.EncryptedField;
import dev.fluo.kms.v1.GenerateDataKeyRequest;
import dev.fluo.kms.v1.GetPublicKeysRequest;
import dev.fluo.kms.v1.Key;
import dev.fluo.kms.v1.KeyValue;
import dev.fluo.kms.v1.ListKeysRequest;
import dev.fluo.kms.v1.PlainField;
import dev.fluo.kms.v1.PublicKey;
import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.v1.ScopeSpans;
import dev.fluo.kms.v1.SignMode;
import dev.fluo.kms.v1.SignSpanRequest;
import dev.fluo.kms.v1.SignSpansRequest;
import dev.fluo.kms.v1.SignSpansResponse;
import dev.fluo.kms.v1.SpanResult;
import dev.fluo.kms.v1.StatusRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** {@code produce}: evidence of each kind, made by this client. */
final class Produce {
  private final World world;
  private final World scenario;
  private final Checks checks;
  private final KmsClient client;
  private final String tenant;
  private final Map<String, String> context;

  private Produce(World world, Checks checks, KmsClient client) throws Exception {
    this.world = world;
    this.scenario = world.file("scenario");
    this.checks = checks;
    this.client = client;
    this.tenant = scenario.text("tenant");
    this.context = scenario.map("context");
  }

  static void run(World world, Checks checks) throws Exception {
    try (KmsClient client = world.client()) {
      new Produce(world, checks, client).run();
    }
  }

  private void run() throws Exception {
    ResourceSpans batch = ResourceSpans.parseFrom(scenario.base64("batch"));
    JsonObject evidence = new JsonObject();
    evidence.addProperty("language", "java");
    evidence.addProperty("individual", base64(individual(batch).toByteArray()));
    evidence.addProperty("log", base64(log(batch).toByteArray()));
    evidence.add("tokens", tokens());
    evidence.add("record", record());
    JsonObject pairs = new JsonObject();
    context.forEach(pairs::addProperty);
    evidence.add("context", pairs);
    evidence.addProperty("blob", base64(blob()));
    evidence.addProperty("sealed", base64(sealed()));
    checks.step("refusal", this::refusal);
    checks.step("deadline", this::deadline);
    checks.step("paging", this::paging);
    Files.writeString(world.path("out"), evidence.toString());
  }

  private ResourceSpans individual(ResourceSpans batch) {
    ResourceSpans.Builder signed = batch.toBuilder();
    for (ScopeSpans.Builder scope : signed.getScopeSpansBuilderList()) {
      for (var span : scope.getSpansBuilderList()) {
        SignSpanRequest.Builder request = SignSpanRequest.newBuilder().setTenantId(tenant).setSpan(span.build());
        if (batch.hasResource()) {
          request.setResource(batch.getResource());
        }
        if (scope.hasScope()) {
          request.setScope(scope.getScope());
        }
        span.addAllAttributes(client.kms().signSpan(request.build()).getAttributesList());
      }
    }
    checks.that(true, "SignSpan", "");
    return signed.build();
  }

  private ResourceSpans log(ResourceSpans batch) throws Exception {
    SignSpansRequest request =
        SignSpansRequest.newBuilder()
            .setTenantId(tenant)
            .setMode(SignMode.SIGN_MODE_LOG)
            .setWithAttributes(true)
            .setRequestId(UUID.randomUUID().toString())
            .addResourceSpans(batch)
            .build();
    List<SpanResult> first = results(request);
    List<SpanResult> again = results(request);
    checks.equal(indices(first), indices(again), "a batch sent again has the same places");
    checks.equal(scenario.number("spans"), first.size(), "each span of the batch is answered");
    Iterator<SpanResult> results = first.iterator();
    ResourceSpans.Builder signed = batch.toBuilder();
    for (ScopeSpans.Builder scope : signed.getScopeSpansBuilderList()) {
      for (var span : scope.getSpansBuilderList()) {
        List<KeyValue> attributes = results.next().getSigned().getAttributesList();
        checks.that(!attributes.isEmpty(), "results have attributes", "none");
        span.addAllAttributes(attributes);
      }
    }
    return signed.build();
  }

  private List<SpanResult> results(SignSpansRequest request) throws Exception {
    List<SpanResult> results = new ArrayList<>();
    CompletableFuture<Void> end = new CompletableFuture<>();
    StreamObserver<SignSpansRequest> stream =
        client
            .kmsAsync()
            .signSpans(
                new StreamObserver<>() {
                  @Override
                  public void onNext(SignSpansResponse answer) {
                    results.addAll(answer.getResultsList());
                  }

                  @Override
                  public void onError(Throwable error) {
                    end.completeExceptionally(error);
                  }

                  @Override
                  public void onCompleted() {
                    end.complete(null);
                  }
                });
    stream.onNext(request);
    stream.onCompleted();
    end.get(60, TimeUnit.SECONDS);
    return results;
  }

  private static List<Long> indices(List<SpanResult> results) {
    return results.stream().map(each -> each.getSigned().getLeafIndex()).collect(Collectors.toList());
  }

  private JsonArray tokens() {
    EncryptPiiRequest.Builder request =
        EncryptPiiRequest.newBuilder().setTenantId(tenant).putAllEncryptionContext(context);
    for (World field : scenario.objects("fields")) {
      request.addFields(
          PlainField.newBuilder().setName(field.text("name")).setValue(ByteString.copyFrom(field.base64("value"))));
    }
    JsonArray tokens = new JsonArray();
    for (EncryptedField each : client.kms().encryptPii(request.build()).getFieldsList()) {
      JsonObject token = new JsonObject();
      token.addProperty("name", each.getName());
      token.addProperty("token", each.getToken());
      tokens.add(token);
    }
    return tokens;
  }

  private JsonObject record() {
    Person plain = Person.of(scenario.object("record"));
    Person encrypted = PiiRecords.encrypt(client, tenant, plain, context);
    checks.equal(plain.id(), encrypted.id(), "a component without a mark stays");
    checks.equal(null, encrypted.phone(), "null stays null");
    checks.that(encrypted.email().startsWith("fk1."), "a string becomes its token", "another text");
    checks.that(
        PiiRecords.decrypt(client, tenant, encrypted, context).isSame(plain), "the record opens again", "another");
    JsonObject record = new JsonObject();
    record.addProperty("email", encrypted.email());
    record.addProperty("note", new String(encrypted.note(), java.nio.charset.StandardCharsets.US_ASCII));
    record.addProperty("alias", encrypted.alias());
    return record;
  }

  private byte[] blob() {
    return client
        .kms()
        .generateDataKey(
            GenerateDataKeyRequest.newBuilder().setTenantId(tenant).putAllEncryptionContext(context).build())
        .getCiphertextBlob()
        .toByteArray();
  }

  private byte[] sealed() throws Exception {
    Path plain = Files.write(world.path("work").resolve("java-plain"), scenario.base64("file"));
    Path sealed = world.path("work").resolve("java-sealed");
    SealedFiles.seal(client, tenant, plain, sealed, context);
    return Files.readAllBytes(sealed);
  }

  private void refusal() {
    World refused = scenario.object("refused");
    try {
      client.kms().generateDataKey(GenerateDataKeyRequest.newBuilder().setTenantId(refused.text("tenant")).build());
      checks.that(false, "refusal", "the call succeeded");
    } catch (StatusRuntimeException e) {
      ErrorDetails details = ErrorDetails.of(e);
      checks.equal(refused.text("code"), e.getStatus().getCode().name(), "code of a refusal");
      checks.equal(refused.text("reason"), details.reason(), "reason of a refusal");
      checks.equal(
          List.of(refused.text("field")),
          details.fields().stream().map(ErrorDetails.FieldViolation::field).toList(),
          "field of a refusal");
    }
  }

  private void deadline() {
    try {
      client.kms().withDeadlineAfter(1, TimeUnit.MICROSECONDS).status(StatusRequest.getDefaultInstance());
      checks.that(false, "deadline", "the call succeeded");
    } catch (StatusRuntimeException e) {
      checks.equal(Status.Code.DEADLINE_EXCEEDED, e.getStatus().getCode(), "deadline");
    }
  }

  private void paging() {
    List<String> singly = keyIds(1);
    checks.equal(keyIds(100), singly, "pages of one key are one page of all");
    checks.that(singly.size() >= 2, "there are two keys", singly);
    checks.equal(new HashSet<>(publicKeyIds(100)), new HashSet<>(publicKeyIds(1)), "pages of public keys");
  }

  private List<String> keyIds(int pageSize) {
    List<String> ids = new ArrayList<>();
    for (Key each : client.listKeys(ListKeysRequest.newBuilder().setTenantId(tenant).setPageSize(pageSize).build())) {
      ids.add(each.getVersion().getKeyId());
    }
    return ids;
  }

  private List<String> publicKeyIds(int pageSize) {
    List<String> ids = new ArrayList<>();
    GetPublicKeysRequest request =
        GetPublicKeysRequest.newBuilder().setTenantId(tenant).setPageSize(pageSize).build();
    for (PublicKey each : client.listPublicKeys(request)) {
      ids.add(each.getKeyId());
    }
    return ids;
  }

  private static String base64(byte[] bytes) {
    return Base64.getEncoder().encodeToString(bytes);
  }
}
