package dev.fluo.kms.conformance;

import com.google.gson.JsonObject;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.otel.SigningSpanExporter;
import dev.fluo.kms.v1.SignMode;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import java.nio.file.Files;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** {@code flush}: what is delivered when the flush, or the shutdown, of the SDK's provider returns. */
final class Flush {
  private Flush() {}

  static void run(World world, Checks checks) throws Exception {
    Duration timeout = Duration.ofMillis(world.number("exportTimeoutMs"));
    int spans = world.number("spans");
    try (KmsClient client = KmsClient.builder(world.text("service")).insecure().build()) {
      SigningSpanExporter exporter = exporter(world, client, timeout);
      SdkTracerProvider provider =
          SdkTracerProvider.builder()
              .setResource(Resource.create(Attributes.of(AttributeKey.stringKey("service.name"), "java")))
              .addSpanProcessor(
                  exporter.batchProcessor(
                      batches ->
                          batches
                              .setExporterTimeout(timeout)
                              .setMaxExportBatchSize(world.number("batch"))
                              .setMaxQueueSize(world.number("processorQueue"))))
              .build();
      Export.spans(provider.get("conformance"), "s-", spans, null);
      CompletableResultCode called =
          world.text("how").equals("shutdown") ? provider.shutdown() : provider.forceFlush();
      called.join(world.number("shutdownMs"), TimeUnit.MILLISECONDS);
      JsonObject out = new JsonObject();
      out.addProperty("ended", spans);
      out.addProperty("delivered", exporter.stats().delivered());
      out.addProperty("ok", called.isSuccess());
      Files.writeString(world.path("out"), out.toString());
      provider.shutdown().join(world.number("shutdownMs"), TimeUnit.MILLISECONDS);
    }
    checks.that(true, "flushed", "");
  }

  private static SigningSpanExporter exporter(World world, KmsClient client, Duration timeout) {
    OtlpHttpSpanExporter backend = OtlpHttpSpanExporter.builder().setEndpoint(world.text("backend")).build();
    SigningSpanExporter.Builder builder =
        SigningSpanExporter.builder(backend, client, world.text("tenant"))
            .mode(SignMode.valueOf("SIGN_MODE_" + world.text("mode")))
            .timeout(timeout);
    if (world.has("queue")) {
      World queue = world.object("queue");
      builder.queue(queue.number("spans"), queue.members().get("bytes").getAsLong());
    } else {
      builder.withoutQueue();
    }
    return builder.build();
  }
}
