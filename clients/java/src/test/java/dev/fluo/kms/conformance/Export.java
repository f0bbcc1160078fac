package dev.fluo.kms.conformance;

import com.google.gson.JsonObject;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.otel.ExporterStats;
import dev.fluo.kms.otel.LossCause;
import dev.fluo.kms.otel.SigningSpanExporter;
import dev.fluo.kms.v1.SignMode;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** {@code export}: spans of the SDK through its batch processor, the signing exporter and OTLP over HTTP. */
final class Export {
  private static final AttributeKey<String> SERVICE_NAME = AttributeKey.stringKey("service.name");

  private final World world;
  private final Map<LossCause, Long> told = new EnumMap<>(LossCause.class);

  /** The last reason of each cause. */
  private final JsonObject why = new JsonObject();

  private Export(World world) {
    this.world = world;
  }

  static void run(World world, Checks checks) throws Exception {
    new Export(world).run();
    checks.that(true, "exported", "");
  }

  private void run() throws Exception {
    Duration timeout = Duration.ofMillis(world.number("exportTimeoutMs"));
    SpanExporter plain = OtlpHttpSpanExporter.builder().setEndpoint(world.text("backend")).build();
    boolean isPlain = world.has("plain") && world.members().get("plain").getAsBoolean();
    try (KmsClient client = KmsClient.builder(world.text("service")).insecure().build()) {
      SigningSpanExporter signing = isPlain ? null : signing(plain, client, timeout);
      SdkTracerProvider provider =
          SdkTracerProvider.builder()
              .setResource(Resource.create(Attributes.of(SERVICE_NAME, "java")))
              .addSpanProcessor(
                  BatchSpanProcessor.builder(isPlain ? plain : signing)
                      .setExporterTimeout(timeout)
                      .setMaxExportBatchSize(world.number("batch"))
                      .setMaxQueueSize(world.number("processorQueue"))
                      .build())
              .build();
      Tracer tracer = provider.get("conformance");
      int warmUp = world.has("warmUp") ? world.number("warmUp") : 0;
      spans(tracer, "w-", warmUp, null);
      flush(provider, signing, world.number("shutdownMs"));
      long cpuBefore = cpuNanos();
      int spans = world.number("spans");
      spans(tracer, "s-", spans, world.has("ratePerSecond") ? world.number("ratePerSecond") : null);
      System.out.println("ENDED " + spans);
      long untilMs = System.currentTimeMillis() + world.number("shutdownMs");
      flush(provider, signing, world.number("shutdownMs"));
      JsonObject out = new JsonObject();
      out.addProperty("ended", spans);
      out.addProperty("cpuMicrosPerSpan", (cpuNanos() - cpuBefore) / 1_000.0 / spans);
      if (signing != null) {
        long left = Math.max(0, untilMs - System.currentTimeMillis());
        out.addProperty("undelivered", signing.shutdown(Duration.ofMillis(left)));
      }
      provider.shutdown().join(world.number("shutdownMs"), TimeUnit.MILLISECONDS);
      if (signing != null) {
        stats(out, signing.stats(), warmUp);
      }
      Files.writeString(world.path("out"), out.toString());
    }
  }

  /** The processor hands over what it has, and does not flush its exporter. */
  private static void flush(SdkTracerProvider provider, SigningSpanExporter signing, long mostMs) {
    long untilMs = System.currentTimeMillis() + mostMs;
    provider.forceFlush().join(mostMs, TimeUnit.MILLISECONDS);
    if (signing != null) {
      signing.flush().join(Math.max(1, untilMs - System.currentTimeMillis()), TimeUnit.MILLISECONDS);
    }
  }

  private SigningSpanExporter signing(SpanExporter plain, KmsClient client, Duration timeout) {
    SigningSpanExporter.Builder builder =
        SigningSpanExporter.builder(plain, client, world.text("tenant"))
            .mode(SignMode.valueOf("SIGN_MODE_" + world.text("mode")))
            .timeout(timeout)
            .onLoss(
                loss -> {
                  synchronized (told) {
                    told.merge(loss.cause(), (long) loss.spans().size(), Long::sum);
                    why.addProperty(loss.cause().word(), loss.why());
                    System.out.println("LOST " + loss.cause().word() + " " + loss.spans().size());
                  }
                });
    if (world.has("queue")) {
      World queue = world.object("queue");
      builder.queue(queue.number("spans"), queue.members().get("bytes").getAsLong());
    } else {
      builder.withoutQueue();
    }
    return builder.build();
  }

  private void stats(JsonObject out, ExporterStats stats, int warmUp) {
    out.addProperty("delivered", stats.delivered() - warmUp);
    out.addProperty("refused", stats.refused());
    out.add("lost", byWord(stats.lost()));
    synchronized (told) {
      out.add("told", byWord(told));
      out.add("why", why);
    }
    out.addProperty("waitingSpans", stats.waitingSpans());
    out.addProperty("waitingBytes", stats.waitingBytes());
  }

  private static JsonObject byWord(Map<LossCause, Long> counts) {
    JsonObject words = new JsonObject();
    counts.forEach((cause, count) -> words.addProperty(cause.word(), count));
    return words;
  }

  static void spans(Tracer tracer, String prefix, int count, Integer ratePerSecond) throws Exception {
    long start = System.nanoTime();
    for (int i = 0; i < count; i++) {
      if (ratePerSecond != null) {
        long due = start + i * 1_000_000_000L / ratePerSecond;
        long wait = due - System.nanoTime();
        if (wait > 0) {
          TimeUnit.NANOSECONDS.sleep(wait);
        }
      }
      Span span =
          tracer
              .spanBuilder(prefix + i)
              .setAttribute("text", "value " + i)
              .setAttribute("truth", i % 2 == 0)
              .setAttribute("whole", i)
              .setAttribute("number", i / 3.0)
              .setAttribute(AttributeKey.stringArrayKey("texts"), java.util.List.of("a", "é"))
              .setAttribute(AttributeKey.booleanArrayKey("truths"), java.util.List.of(true, false))
              .setAttribute(AttributeKey.longArrayKey("wholes"), java.util.List.of(1L, -2L))
              .setAttribute(AttributeKey.doubleArrayKey("numbers"), java.util.List.of(0.5, -0.0))
              .startSpan();
      span.addEvent("event", Attributes.of(AttributeKey.longKey("attempt"), 1L));
      span.setStatus(StatusCode.ERROR, "described");
      span.end();
    }
  }

  private static long cpuNanos() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
        .getProcessCpuTime();
  }
}
