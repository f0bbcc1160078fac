package dev.fluo.kms.example;

import dev.fluo.kms.KmsClient;
import dev.fluo.kms.otel.SigningSpanExporter;
import dev.fluo.kms.verify.Verdict;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Decides about two loans, and shows that what is kept of them is encrypted and what was decided can be proven. Arguments:
 * {@code GRPC_ADDRESS HTTP_URL}, else those of a service on this machine.
 */
public final class Main {
  private static final AttributeKey<String> SERVICE_NAME = AttributeKey.stringKey("service.name");

  private Main() {}

  /** Exits with 1 if anything does not go as it must. */
  public static void main(String[] arguments) throws Exception {
    String grpc = arguments.length > 0 ? arguments[0] : "localhost:9000";
    String http = arguments.length > 1 ? arguments[1] : "http://localhost:8080";
    try (Backend backend = new Backend();
        KmsClient client = KmsClient.builder(grpc).insecure().build()) {
      // The three lines that sign: an exporter around the one that there was.
      OtlpHttpSpanExporter otlp = OtlpHttpSpanExporter.builder().setEndpoint(backend.url()).build();
      SigningSpanExporter signing = SigningSpanExporter.builder(otlp, client, Loans.TENANT).build();
      SdkTracerProvider tracing = tracing(signing);

      Loans loans = new Loans(client, tracing.get("loans"));
      boolean isGranted = loans.decide(new Application("1", "Ann", "ann@example.com", 5_000));
      boolean isGrantedMore = loans.decide(new Application("2", "Bob", "bob@example.com", 50_000));
      System.out.println("loan 1 granted: " + isGranted + ", loan 2 granted: " + isGrantedMore);
      String token = loans.stored("1").email();
      System.out.println("kept of Ann's address: " + token.substring(0, 8) + "…");
      System.out.println("opened again: " + loans.opened("1").email());

      tracing.forceFlush().join(10, TimeUnit.SECONDS);
      long undelivered = signing.shutdown(Duration.ofSeconds(10));
      tracing.shutdown().join(10, TimeUnit.SECONDS);
      boolean isProven = undelivered == 0 && isProven(Audit.of(http, Loans.TENANT), backend.export());
      System.exit(isProven ? 0 : 1);
    }
  }

  private static SdkTracerProvider tracing(SigningSpanExporter exporter) {
    return SdkTracerProvider.builder()
        .setResource(Resource.create(Attributes.of(SERVICE_NAME, "loans")))
        .addSpanProcessor(BatchSpanProcessor.builder(exporter).build())
        .build();
  }

  private static boolean isProven(Audit audit, byte[] export) {
    List<Verdict> verdicts = audit.verdicts(export);
    for (Verdict verdict : verdicts) {
      System.out.println("span at place " + verdict.leafIndex().orElse(-1) + " of the log: " + verdict.reason());
    }
    // Somebody changes the spans afterwards.
    String text = new String(export, StandardCharsets.ISO_8859_1);
    byte[] changed = text.replace("loan.amount", "loan.amounT").getBytes(StandardCharsets.ISO_8859_1);
    List<Verdict> ofChanged = audit.verdicts(changed);
    System.out.println("changed afterwards: " + ofChanged.get(0).reason());
    return verdicts.size() == 2
        && verdicts.stream().allMatch(Verdict::verified)
        && ofChanged.stream().noneMatch(Verdict::verified);
  }
}
