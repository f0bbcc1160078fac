package dev.fluo.kms.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.fluo.kms.SpanVerifier;
import dev.fluo.kms.Vectors;
import dev.fluo.kms.v1.AnyValue;
import dev.fluo.kms.v1.KeyValue;
import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.v1.ScopeSpans;
import dev.fluo.kms.v1.SignSpanRequest;
import dev.fluo.kms.v1.SignedStatement;
import dev.fluo.kms.v1.Span;
import dev.fluo.kms.v1.VerifySpanRequest;
import com.google.protobuf.ByteString;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class VerifierTest {
  private static final Pattern SIGNATURE =
      Pattern.compile("audit\\.integrity\\.(algorithm|value|key_id|tenant|signed_at)");

  @TestFactory
  Stream<DynamicTest> givesTheCanonicalFormAndVerifiesEachVector() throws Exception {
    SpanVerifier verifier = new SpanVerifier(Signer.active());
    return Vectors.elements(Signer.vectors().getAsJsonArray("spans"))
        .map(
            vector ->
                DynamicTest.dynamicTest(
                    Vectors.text(vector, "name"),
                    () -> {
                      SignSpanRequest request = SignSpanRequest.parseFrom(Vectors.hex(vector, "signSpanRequest"));
                      ReadSpan read =
                          ResourceSpansReader.read(
                              request.getResource().toByteArray(),
                              request.getScope().toByteArray(),
                              request.getSpan().toByteArray());
                      assertEquals(Vectors.text(vector, "canonical"), read.canonical());
                      Span signed = withAttributes(request.getSpan(), Vectors.hex(vector, "signature"));
                      Verdict verdict =
                          verifier.verify(Signer.TENANT, request.getResource(), request.getScope(), signed);
                      assertEquals(Reason.OK, verdict.reason());
                      assertEquals(Signer.SIGNED_AT, verdict.signedAt().orElseThrow());
                      Span altered = signed.toBuilder().setName(signed.getName() + "!").build();
                      assertEquals(
                          Reason.SIGNATURE_MISMATCH,
                          verifier
                              .verify(Signer.TENANT, request.getResource(), request.getScope(), altered)
                              .reason());
                    }));
  }

  @TestFactory
  Stream<DynamicTest> refusesEachVectorThatIsMalformedAndNamesTheField() throws Exception {
    Verifier verifier = new Verifier(Signer.active());
    return Vectors.elements(Vectors.read("span/refused.json").getAsJsonArray())
        .map(
            vector ->
                DynamicTest.dynamicTest(
                    Vectors.text(vector, "name"),
                    () -> {
                      Verdict verdict =
                          verifier.verify(Signer.TENANT, new byte[0], new byte[0], Vectors.hex(vector, "span"));
                      assertEquals(Reason.MALFORMED, verdict.reason());
                      assertTrue(verdict.traceId().isEmpty());
                      String message = verdict.message().orElseThrow();
                      JsonElement field = vector.get("field");
                      assertTrue(field.isJsonNull() || message.startsWith(field.getAsString() + ":"), message);
                    }));
  }

  @Test
  void verifiesAStatementBesideTheSpanAndRefusesAnother() throws Exception {
    SpanVerifier verifier = new SpanVerifier(Signer.active());
    List<JsonObject> vectors = Vectors.elements(Signer.vectors().getAsJsonArray("spans")).toList();
    VerifySpanRequest first = requestOf(vectors.get(0));
    assertEquals(Reason.OK, verifier.verify(first).reason());
    VerifySpanRequest other = requestOf(vectors.get(1));
    VerifySpanRequest mixed = first.toBuilder().setSignedStatement(other.getSignedStatement()).build();
    assertEquals(Reason.SPAN_MISMATCH, verifier.verify(mixed).reason());
    assertEquals(Reason.UNKNOWN_KEY, verifier.verify(first.toBuilder().setTenantId("other").build()).reason());
    SignedStatement cut =
        first.getSignedStatement().toBuilder().setSignature(ByteString.copyFrom(new byte[63])).build();
    assertEquals(Reason.MALFORMED, verifier.verify(first.toBuilder().setSignedStatement(cut).build()).reason());
  }

  @Test
  void verifiesAnExportInProtobufAndAsEachPrinterWritesIt() throws Exception {
    Verifier verifier = new Verifier(Signer.active());
    JsonObject exported = Vectors.read("span/exported.json").getAsJsonObject();
    List<Verdict> inProtobuf = verifier.verifyExport(Vectors.hex(exported, "protobuf"));
    assertTrue(inProtobuf.size() == 4);
    assertTrue(inProtobuf.stream().allMatch(Verdict::verified));
    for (Map.Entry<String, JsonElement> json : exported.getAsJsonObject("json").entrySet()) {
      byte[] text = json.getValue().getAsString().getBytes(StandardCharsets.UTF_8);
      assertEquals(inProtobuf, verifier.verifyExport(text), json.getKey());
      byte[] altered = new String(text, StandardCharsets.UTF_8).replace("POST", "GET").getBytes(StandardCharsets.UTF_8);
      assertFalse(verifier.verifyExport(altered).stream().allMatch(Verdict::verified), json.getKey());
    }
  }

  @TestFactory
  Stream<DynamicTest> judgesEachSpellingOfTheVectorsInJson() throws Exception {
    JsonObject vectors = Vectors.read("span/json.json").getAsJsonObject();
    Verifier verifier = new Verifier(KeySet.parse(Vectors.text(vectors, "jwks")));
    return Vectors.elements(vectors.getAsJsonArray("cases"))
        .map(
            vector ->
                DynamicTest.dynamicTest(
                    Vectors.text(vector, "name"),
                    () -> {
                      byte[] text = Vectors.text(vector, "text").getBytes(StandardCharsets.UTF_8);
                      if (vector.get("reasons").isJsonPrimitive()) {
                        assertThrows(NotAnExportException.class, () -> verifier.verifyExport(text));
                        return;
                      }
                      List<String> wanted =
                          vector.getAsJsonArray("reasons").asList().stream().map(JsonElement::getAsString).toList();
                      assertEquals(
                          wanted, verifier.verifyExport(text).stream().map(each -> each.reason().name()).toList());
                    }));
  }

  @Test
  void refusesWhatJsonLeavesOpen() throws Exception {
    Verifier verifier = new Verifier(Signer.active());
    String span = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{%s}]}]}]}";
    for (String members :
        List.of("\"name\":\"a\",\"name\":\"b\"", "\"nam\":\"a\"", "\"traceId\":\"5b8e\"", "\"name\":5", "\"kind\":\"6\"")) {
      List<Verdict> verdicts = verifier.verifyExport(span.formatted(members).getBytes(StandardCharsets.UTF_8));
      assertEquals(List.of(Reason.MALFORMED), verdicts.stream().map(Verdict::reason).toList(), members);
    }
    for (String text : List.of("{}", "null", "{\"resourceSpans\":{}}", "{'resourceSpans':[]}", "[NaN]", "x", "{\"resourceSpans\":[]} x")) {
      assertThrows(
          NotAnExportException.class, () -> verifier.verifyExport(text.getBytes(StandardCharsets.UTF_8)), text);
    }
  }

  @Test
  void saysOncePerFrameThatItsSpansCannotBeToldApart() throws Exception {
    Verifier verifier = new Verifier(Signer.active());
    WireWriter scope = new WireWriter();
    scope.bytes(2, new byte[0]);
    scope.bytes(2, new byte[0]);
    WireWriter twoSpans = new WireWriter();
    twoSpans.bytes(2, scope.toBytes());
    assertEquals(2, verifier.verifyExport(export(twoSpans.toBytes())).size());
    twoSpans.varint(9, 1);
    assertEquals(
        List.of(Reason.MALFORMED),
        verifier.verifyExport(export(twoSpans.toBytes())).stream().map(Verdict::reason).toList());
  }

  /** More rounds, and other ones: {@code mvn test -Dtest=VerifierTest -Dfuzz.rounds=1000000 -Dfuzz.seed=1}. */
  @Test
  void givesAVerdictForWhateverBytesItIsGivenAndVerifiesNoOtherSpan() throws Exception {
    Verifier verifier = new Verifier(Signer.active());
    List<byte[]> exports = new ArrayList<>();
    for (JsonElement vector : Signer.vectors().getAsJsonArray("spans")) {
      exports.add(signedExport(vector.getAsJsonObject()));
    }
    JsonObject printed = Vectors.read("span/exported.json").getAsJsonObject().getAsJsonObject("json");
    for (Map.Entry<String, JsonElement> json : printed.entrySet()) {
      exports.add(json.getValue().getAsString().getBytes(StandardCharsets.UTF_8));
    }
    Set<Verdict> verified = new HashSet<>();
    exports.forEach(export -> verified.addAll(verifier.verifyExport(export)));
    assertTrue(verified.stream().allMatch(Verdict::verified));
    Random random = new Random(Long.getLong("fuzz.seed", 7));
    for (int round = 0; round < Integer.getInteger("fuzz.rounds", 2_000); round++) {
      byte[] changed = exports.get(random.nextInt(exports.size())).clone();
      for (int i = random.nextInt(4); i >= 0; i--) {
        changed[random.nextInt(changed.length)] = (byte) random.nextInt(256);
      }
      try {
        for (Verdict verdict : verifier.verifyExport(changed)) {
          assertTrue(!verdict.verified() || verified.contains(verdict), () -> HexFormat.of().formatHex(changed));
        }
      } catch (NotAnExportException e) {
        // Neither protobuf nor JSON any more.
      }
    }
  }

  @Test
  void judgesTheKeyBehindTheSignature() throws Exception {
    JsonObject vector = Signer.vectors().getAsJsonArray("spans").get(0).getAsJsonObject();
    VerifySpanRequest request = requestOf(vector);
    Map<String, Reason> wanted =
        Map.of(
            ",\"state\":\"PENDING\"", Reason.KEY_STATE,
            ",\"state\":\"DISABLED\"", Reason.OK,
            ",\"state\":\"COMPROMISED\"", Reason.KEY_COMPROMISED,
            ",\"state\":\"DESTROYED\",\"compromised_at\":\"2026-02-01T00:00:00Z\"", Reason.KEY_COMPROMISED,
            ",\"state\":\"ACTIVE\",\"valid_from\":\"2026-01-02T03:05:05.678Z\"", Reason.OK,
            ",\"state\":\"ACTIVE\",\"valid_from\":\"2026-01-02T03:05:05.679Z\"", Reason.KEY_STATE,
            ",\"state\":\"RETIRED\",\"valid_until\":\"2026-01-02T03:04:05.678Z\"", Reason.OK,
            ",\"state\":\"RETIRED\",\"valid_until\":\"2026-01-02T03:04:05.677Z\"", Reason.KEY_STATE);
    for (Map.Entry<String, Reason> each : wanted.entrySet()) {
      assertEquals(
          each.getValue(), new SpanVerifier(Signer.keys(each.getKey())).verify(request).reason(), each.getKey());
    }
  }

  private static byte[] signedExport(JsonObject vector) throws Exception {
    SignSpanRequest request = SignSpanRequest.parseFrom(Vectors.hex(vector, "signSpanRequest"));
    ScopeSpans.Builder scope =
        ScopeSpans.newBuilder()
            .setScope(request.getScope())
            .addSpans(withAttributes(request.getSpan(), Vectors.hex(vector, "signature")));
    return export(
        ResourceSpans.newBuilder().setResource(request.getResource()).addScopeSpans(scope).build().toByteArray());
  }

  private static byte[] export(byte[] resourceSpans) {
    WireWriter export = new WireWriter();
    export.bytes(1, resourceSpans);
    return export.toBytes();
  }

  private static VerifySpanRequest requestOf(JsonObject vector) throws Exception {
    SignSpanRequest signed = SignSpanRequest.parseFrom(Vectors.hex(vector, "signSpanRequest"));
    SignedStatement statement =
        SignedStatement.newBuilder()
            .setStatement(ByteString.copyFromUtf8(Vectors.text(vector, "statement")))
            .setSignature(ByteString.copyFrom(Vectors.hex(vector, "signature")))
            .build();
    return VerifySpanRequest.newBuilder()
        .setTenantId(Signer.TENANT)
        .setSpan(signed.getSpan())
        .setResource(signed.getResource())
        .setScope(signed.getScope())
        .setSignedStatement(statement)
        .build();
  }

  private static Span withAttributes(Span span, byte[] signature) {
    List<KeyValue> own =
        span.getAttributesList().stream().filter(each -> !SIGNATURE.matcher(each.getKey()).matches()).toList();
    return span.toBuilder()
        .clearAttributes()
        .addAllAttributes(own)
        .addAttributes(attribute("algorithm", "EdDSA"))
        .addAttributes(attribute("value", Base64.getEncoder().encodeToString(signature)))
        .addAttributes(attribute("key_id", Signer.KEY_ID))
        .addAttributes(attribute("tenant", Signer.TENANT))
        .addAttributes(attribute("signed_at", Signer.SIGNED_AT))
        .build();
  }

  private static KeyValue attribute(String name, String value) {
    return KeyValue.newBuilder()
        .setKey("audit.integrity." + name)
        .setValue(AnyValue.newBuilder().setStringValue(value))
        .build();
  }
}
