package dev.fluo.kms.conformance;

import com.google.protobuf.ByteString;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.PiiRecords;
import dev.fluo.kms.SealedFiles;
import dev.fluo.kms.SpanVerifier;
import dev.fluo.kms.v1.DecryptDataKeyRequest;
import dev.fluo.kms.v1.DecryptPiiRequest;
import dev.fluo.kms.v1.DecryptedField;
import dev.fluo.kms.v1.EncryptedField;
import dev.fluo.kms.v1.ReEncryptPiiRequest;
import dev.fluo.kms.v1.ReEncryptedField;
import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.v1.ScopeSpans;
import dev.fluo.kms.v1.Span;
import dev.fluo.kms.v1.VerifyReason;
import dev.fluo.kms.v1.VerifySpanRequest;
import dev.fluo.kms.v1.VerifySpanResponse;
import dev.fluo.kms.verify.KeySet;
import dev.fluo.kms.verify.Verdict;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** {@code check}: evidence that all languages made, by this client and by the service. */
final class Check {
  private final World world;
  private final World scenario;
  private final Checks checks;
  private final KmsClient client;
  private final SpanVerifier verifier;
  private final String tenant;
  private final Map<String, String> context;

  private Check(World world, Checks checks, KmsClient client) throws IOException {
    this.world = world;
    this.scenario = world.file("scenario");
    this.checks = checks;
    this.client = client;
    this.verifier = new SpanVerifier(KeySet.parse(Files.readString(world.path("keys"))));
    this.tenant = scenario.text("tenant");
    this.context = scenario.map("context");
  }

  static void run(World world, Checks checks) throws Exception {
    try (KmsClient client = world.client()) {
      Check check = new Check(world, checks, client);
      for (String file : world.texts("evidence")) {
        World evidence = World.read(Path.of(file));
        String who = evidence.text("language");
        checks.step(who + "'s individual", () -> check.spans(evidence, "individual"));
        checks.step(who + "'s log", () -> check.spans(evidence, "log"));
        checks.step(who + "'s tokens", () -> check.tokens(evidence));
        checks.step(who + "'s record", () -> check.record(evidence));
        checks.step(who + "'s blob", () -> check.blob(evidence));
        checks.step(who + "'s file", () -> check.file(evidence));
      }
    }
  }

  private void spans(World evidence, String kind) throws IOException {
    String what = evidence.text("language") + "'s " + kind;
    String expected = world.has("expect") ? world.object("expect").text(kind) : "OK";
    String ofService = world.has("expectService") ? world.object("expectService").text(kind) : expected;
    ResourceSpans batch = ResourceSpans.parseFrom(evidence.base64(kind));
    for (ScopeSpans scope : batch.getScopeSpansList()) {
      for (Span span : scope.getSpansList()) {
        VerifySpanRequest request = request(batch, scope, span);
        Verdict verdict = verifier.verify(request);
        checks.equal(expected, verdict.reason().name(), what + " offline");
        checks.equal(ofService, reason(client.kms().verifySpan(request)), what + " by the service");
        VerifySpanRequest altered =
            request(batch, scope, span.toBuilder().setName(span.getName() + "!").build());
        checks.that(!verifier.verify(altered).verified(), what + " altered, offline", "it verifies");
        checks.that(!client.kms().verifySpan(altered).getVerified(), what + " altered, by the service", "it verifies");
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

  private static String reason(VerifySpanResponse answer) {
    VerifyReason reason = answer.getReason();
    return reason.name().substring("VERIFY_REASON_".length());
  }

  private void tokens(World evidence) {
    String who = evidence.text("language");
    List<EncryptedField> tokens =
        evidence.objects("tokens").stream()
            .map(each -> EncryptedField.newBuilder().setName(each.text("name")).setToken(each.text("token")).build())
            .toList();
    open(tokens, who + "'s tokens");
    ReEncryptPiiRequest again =
        ReEncryptPiiRequest.newBuilder()
            .setTenantId(tenant)
            .addAllFields(tokens)
            .putAllEncryptionContext(context)
            .build();
    List<EncryptedField> anew =
        client.kms().reEncryptPii(again).getFieldsList().stream().map(Check::reEncrypted).toList();
    open(anew, who + "'s tokens, encrypted anew");
    EncryptedField moved = tokens.get(0).toBuilder().setName("other").build();
    DecryptedField answer = decrypted(List.of(moved), context).get(0);
    checks.equal(3, answer.getError().getCode(), who + "'s token under another name");
    Map<String, String> other = new LinkedHashMap<>(context);
    other.put("other", "pair");
    boolean opens = decrypted(tokens, other).stream().anyMatch(each -> !each.hasError());
    checks.that(!opens, who + "'s tokens with another context", "one opens");
  }

  private static EncryptedField reEncrypted(ReEncryptedField field) {
    return EncryptedField.newBuilder().setName(field.getName()).setToken(field.getToken()).build();
  }

  private void open(List<EncryptedField> tokens, String what) {
    List<DecryptedField> answers = decrypted(tokens, context);
    List<World> fields = scenario.objects("fields");
    checks.equal(fields.size(), answers.size(), what + ", number");
    for (int i = 0; i < fields.size(); i++) {
      boolean isSame = Arrays.equals(fields.get(i).base64("value"), answers.get(i).getValue().toByteArray());
      checks.that(!answers.get(i).hasError() && isSame, what + " " + i, "opens to another value, or not at all");
    }
  }

  private List<DecryptedField> decrypted(List<EncryptedField> tokens, Map<String, String> pairs) {
    return client
        .kms()
        .decryptPii(
            DecryptPiiRequest.newBuilder()
                .setTenantId(tenant)
                .addAllFields(tokens)
                .putAllEncryptionContext(pairs)
                .build())
        .getFieldsList();
  }

  private void record(World evidence) {
    if (!evidence.has("record")) {
      return;
    }
    World tokens = evidence.object("record");
    Person plain = Person.of(scenario.object("record"));
    byte[] note = tokens.text("note").getBytes(StandardCharsets.US_ASCII);
    Person encrypted = new Person(plain.id(), tokens.text("email"), note, tokens.text("alias"), null);
    boolean isSame = PiiRecords.decrypt(client, tenant, encrypted, context).isSame(plain);
    checks.that(isSame, evidence.text("language") + "'s record", "opens to another");
  }

  private void blob(World evidence) {
    DecryptDataKeyRequest request =
        DecryptDataKeyRequest.newBuilder()
            .setTenantId(tenant)
            .setCiphertextBlob(ByteString.copyFrom(evidence.base64("blob")))
            .putAllEncryptionContext(context)
            .build();
    checks.equal(32, client.kms().decryptDataKey(request).getPlaintext().size(), evidence.text("language") + "'s blob");
  }

  private void file(World evidence) throws IOException {
    if (!evidence.has("sealed")) {
      return;
    }
    String who = evidence.text("language");
    Path folder = Files.createTempDirectory(world.path("work"), "java-opens-");
    Path sealed = folder.resolve("sealed");
    Path opened = folder.resolve("opened");
    byte[] bytes = evidence.base64("sealed");
    Files.write(sealed, bytes);
    SealedFiles.open(client, tenant, sealed, opened, context);
    checks.that(Arrays.equals(scenario.base64("file"), Files.readAllBytes(opened)), who + "'s file", "another");
    bytes[bytes.length - 1] ^= 1;
    Files.write(sealed, bytes);
    Files.writeString(opened, "before");
    try {
      SealedFiles.open(client, tenant, sealed, opened, context);
      checks.that(false, who + "'s file, changed", "it opens");
    } catch (IOException e) {
      checks.equal("before", Files.readString(opened), who + "'s file, changed: what was there stays");
    }
    try (Stream<Path> files = Files.list(folder)) {
      checks.equal(2L, files.count(), who + "'s file, changed: nothing is left beside it");
    }
  }
}
