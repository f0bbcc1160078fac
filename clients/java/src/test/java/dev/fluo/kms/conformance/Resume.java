package dev.fluo.kms.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.protobuf.ByteString;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.SpanOutcome;
import dev.fluo.kms.SpanSigner;
import dev.fluo.kms.v1.InstrumentationScope;
import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.v1.ScopeSpans;
import dev.fluo.kms.v1.SignSpansRequest;
import dev.fluo.kms.v1.Span;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;

/** {@code resume}: batches over a connection that is cut. */
final class Resume {
  private Resume() {}

  static void run(World world, Checks checks) throws Exception {
    List<ResourceSpans> batches = new ArrayList<>();
    List<CompletableFuture<List<SpanOutcome>>> answers = new ArrayList<>();
    Random random = new Random();
    try (KmsClient client = KmsClient.builder(world.text("service")).insecure().build();
        SpanSigner signer = SpanSigner.builder(client, world.text("tenant")).build()) {
      for (int batch = 0; batch < world.number("batches"); batch++) {
        ResourceSpans spans = batch(batch, world.number("spansPerBatch"), random);
        batches.add(spans);
        answers.add(signer.sign(List.of(spans)));
      }
      JsonArray indices = new JsonArray();
      SignSpansRequest.Builder export = SignSpansRequest.newBuilder();
      for (int i = 0; i < batches.size(); i++) {
        export.addResourceSpans(signed(batches.get(i), answers.get(i).get(), indices));
      }
      JsonObject out = new JsonObject();
      out.add("leafIndices", indices);
      out.addProperty("spans", Base64.getEncoder().encodeToString(export.build().toByteArray()));
      Files.writeString(world.path("out"), out.toString());
      checks.that(true, "all is signed", "");
    }
  }

  private static ResourceSpans batch(int batch, int count, Random random) {
    ScopeSpans.Builder scope =
        ScopeSpans.newBuilder().setScope(InstrumentationScope.newBuilder().setName("resume"));
    byte[] traceId = id(16, random);
    for (int i = 0; i < count; i++) {
      scope.addSpans(
          Span.newBuilder()
              .setTraceId(ByteString.copyFrom(traceId))
              .setSpanId(ByteString.copyFrom(id(8, random)))
              .setName("r-" + batch + "-" + i));
    }
    return ResourceSpans.newBuilder().addScopeSpans(scope).build();
  }

  private static byte[] id(int bytes, Random random) {
    byte[] id = new byte[bytes];
    random.nextBytes(id);
    id[0] |= 1;
    return id;
  }

  private static ResourceSpans signed(ResourceSpans batch, List<SpanOutcome> outcomes, JsonArray indices) {
    ResourceSpans.Builder signed = batch.toBuilder();
    int at = 0;
    for (ScopeSpans.Builder scope : signed.getScopeSpansBuilderList()) {
      for (Span.Builder span : scope.getSpansBuilderList()) {
        SpanOutcome.Signed outcome = (SpanOutcome.Signed) outcomes.get(at++);
        span.addAllAttributes(outcome.attributes());
        indices.add(outcome.leafIndex().getAsLong());
      }
    }
    return signed.build();
  }
}
