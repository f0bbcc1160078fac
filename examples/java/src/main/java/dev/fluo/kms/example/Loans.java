package dev.fluo.kms.example;

import dev.fluo.kms.KmsClient;
import dev.fluo.kms.PiiRecords;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.Tracer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Decides about loans. A span tells of each decision; what is kept of whoever asked is encrypted. */
final class Loans {
  static final String TENANT = "acme";
  private static final Map<String, String> CONTEXT = Map.of("table", "applications");
  private static final int MOST = 10_000;

  private final KmsClient client;
  private final Tracer tracer;
  private final Map<String, Application> table = new ConcurrentHashMap<>();

  Loans(KmsClient client, Tracer tracer) {
    this.client = client;
    this.tracer = tracer;
  }

  /** Returns whether the loan is granted. */
  boolean decide(Application application) {
    Span span = tracer.spanBuilder("decide").setAttribute("loan.id", application.id()).startSpan();
    try {
      boolean isGranted = application.amount() <= MOST;
      span.setAttribute("loan.amount", application.amount());
      span.setAttribute("loan.granted", isGranted);
      table.put(application.id(), PiiRecords.encrypt(client, TENANT, application, CONTEXT));
      return isGranted;
    } finally {
      span.end();
    }
  }

  /** Returns what is kept, with tokens in the place of name and address. */
  Application stored(String id) {
    return table.get(id);
  }

  /** Returns what was asked for, as it was. */
  Application opened(String id) {
    return PiiRecords.decrypt(client, TENANT, table.get(id), CONTEXT);
  }
}
