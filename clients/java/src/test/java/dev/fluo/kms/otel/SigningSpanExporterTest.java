package dev.fluo.kms.otel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.fluo.kms.CutProxy;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.TestService;
import dev.fluo.kms.v1.SignMode;
import dev.fluo.kms.verify.KeySet;
import dev.fluo.kms.verify.Reason;
import dev.fluo.kms.verify.Verdict;
import dev.fluo.kms.verify.Verifier;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.stub.ServerCalls;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.KeyValue;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.exporter.otlp.trace.OtlpGrpcSpanExporter;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.metrics.InstrumentType;
import io.opentelemetry.sdk.metrics.SdkMeterProvider;
import io.opentelemetry.sdk.metrics.data.AggregationTemporality;
import io.opentelemetry.sdk.metrics.data.LongPointData;
import io.opentelemetry.sdk.metrics.data.MetricData;
import io.opentelemetry.sdk.metrics.export.CollectionRegistration;
import io.opentelemetry.sdk.metrics.export.MetricReader;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.SpanLimits;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Exports by the real SDK and its OTLP exporter, with the real service. */
@Timeout(300)
class SigningSpanExporterTest {
  @AutoClose private static TestService service;

  private final Map<LossCause, Integer> told = new EnumMap<>(LossCause.class);
  @AutoClose private TestBackend backend;
  @AutoClose private KmsClient client;

  @BeforeAll
  static void startService() throws Exception {
    service = TestService.start();
  }

  @BeforeEach
  void open() throws Exception {
    backend = new TestBackend();
    client = service.client();
  }

  @Test
  void signsWhatTheOtlpExporterSendsFieldByField() throws Exception {
    for (SignMode mode : List.of(SignMode.SIGN_MODE_LOG, SignMode.SIGN_MODE_INDIVIDUAL)) {
      String tenant = mode == SignMode.SIGN_MODE_LOG ? "fields-log" : "fields-individual";
      SigningSpanExporter exporter = exporter(client, tenant).mode(mode).build();
      SdkTracerProvider provider = provider(exporter);
      everyField(provider);
      provider.shutdown().join(60, TimeUnit.SECONDS);
      assertEquals(new ExporterStats(4, 0, Map.of()), exporter.stats());
      List<Verdict> verdicts = verdicts(tenant);
      assertEquals(4, verdicts.size());
      verdicts.forEach(verdict -> assertTrue(verdict.verified(), verdict.toString()));
      backend.requests().clear();
    }
  }

  @Test
  void forwardsOrDropsASpanThatTheServiceRefuses() throws Exception {
    for (OnRefused policy : OnRefused.values()) {
      SigningSpanExporter exporter = exporter(client, "refused").onRefused(policy).build();
      SdkTracerProvider provider = provider(exporter);
      Tracer tracer = provider.get("test");
      tracer.spanBuilder("bad").setAttribute("audit.integrity.fluo.own", "x").startSpan().end();
      tracer.spanBuilder("good").startSpan().end();
      provider.shutdown().join(60, TimeUnit.SECONDS);
      boolean isForwarded = policy == OnRefused.FORWARD;
      Map<LossCause, Long> lost = isForwarded ? Map.of() : Map.of(LossCause.REJECTED, 1L);
      assertEquals(new ExporterStats(isForwarded ? 2 : 1, 1, lost), exporter.stats());
      String sent = new String(backend.export(), java.nio.charset.StandardCharsets.ISO_8859_1);
      assertEquals(isForwarded, sent.contains("fluo.kms.unsigned.reason"));
      assertEquals(isForwarded, sent.contains("INVALID_ARGUMENT"));
      backend.requests().clear();
    }
  }

  @Test
  void repeatsTheSameBytesAndSignsOnceWhileTheBackendFails() throws Exception {
    backend.answer(503);
    SigningSpanExporter exporter = exporter(client, "backend").build();
    SdkTracerProvider provider = provider(exporter);
    provider.get("test").spanBuilder("a").startSpan().end();
    provider.get("test").spanBuilder("b").startSpan().end();
    CompletableResultCode flushed = flush(provider, exporter);
    while (backend.requests().size() < 3) {
      assertFalse(flushed.join(10, TimeUnit.MILLISECONDS).isSuccess());
    }
    backend.answer(200);
    assertTrue(flushed.join(60, TimeUnit.SECONDS).isSuccess());
    assertEquals(2, exporter.stats().delivered());
    byte[] first = backend.requests().get(0);
    backend.requests().forEach(request -> assertArrayEquals(first, request));
    Set<Long> places = new HashSet<>();
    verdicts("backend").forEach(verdict -> places.add(verdict.leafIndex().getAsLong()));
    assertEquals(Set.of(0L, 1L), places);
    provider.shutdown().join(60, TimeUnit.SECONDS);
  }

  @Test
  void flushesThroughItsBatchProcessorUntilAllIsDelivered() throws Exception {
    backend.answer(503);
    SigningSpanExporter exporter = exporter(client, "flushed").build();
    SdkTracerProvider provider = flushing(exporter);
    for (int i = 0; i < 100; i++) {
      provider.get("test").spanBuilder("s-" + i).startSpan().end();
    }
    CompletableResultCode flushed = provider.forceFlush();
    while (backend.requests().size() < 2) {
      assertFalse(flushed.join(10, TimeUnit.MILLISECONDS).isSuccess());
    }
    assertFalse(flushed.isDone());
    backend.answer(200);
    assertTrue(flushed.join(60, TimeUnit.SECONDS).isSuccess());
    assertEquals(new ExporterStats(100, 0, Map.of()), exporter.stats());
    assertTrue(provider.shutdown().join(60, TimeUnit.SECONDS).isSuccess());
  }

  @Test
  void failsAFlushOfWhichASpanIsLost() throws Exception {
    SigningSpanExporter exporter = exporter(client, "flush-lost").build();
    SdkTracerProvider provider = flushing(exporter);
    backend.answer(400, "no such field");
    provider.get("test").spanBuilder("lost").startSpan().end();
    CompletableResultCode flushed = provider.forceFlush().join(60, TimeUnit.SECONDS);
    assertTrue(flushed.isDone());
    assertFalse(flushed.isSuccess());
    backend.answer(200);
    provider.get("test").spanBuilder("kept").startSpan().end();
    assertTrue(provider.forceFlush().join(60, TimeUnit.SECONDS).isSuccess());
    assertEquals(new ExporterStats(1, 0, Map.of(LossCause.REJECTED, 1L)), exporter.stats());
    provider.shutdown().join(60, TimeUnit.SECONDS);
  }

  @Test
  void losesNothingWhenTheProviderIsClosed() throws Exception {
    for (boolean isFlushing : List.of(true, false)) {
      SigningSpanExporter exporter = exporter(client, "closed").build();
      // Closes with the SDK's own time-out.
      try (SdkTracerProvider provider = isFlushing ? flushing(exporter) : provider(exporter)) {
        for (int i = 0; i < 1_000; i++) {
          provider.get("test").spanBuilder("s-" + i).startSpan().end();
        }
      }
      assertEquals(new ExporterStats(1_000, 0, Map.of()), exporter.stats());
    }
  }

  private static SdkTracerProvider flushing(SigningSpanExporter exporter) {
    return SdkTracerProvider.builder()
        .addSpanProcessor(exporter.batchProcessor(batches -> batches.setMaxExportBatchSize(64).setMaxQueueSize(4_096)))
        .build();
  }

  @Test
  void keepsSpansWhileTheServiceIsAwayAndEntersEachOnce() throws Exception {
    try (CutProxy proxy = new CutProxy(service.grpc());
        KmsClient through = KmsClient.builder(proxy.address()).insecure().build()) {
      SigningSpanExporter exporter = exporter(through, "away").build();
      SdkTracerProvider provider = provider(exporter);
      for (int i = 0; i < 2_000; i++) {
        if (i == 500) {
          proxy.cut(null);
        }
        if (i == 1_500) {
          proxy.cut(service.grpc());
        }
        provider.get("test").spanBuilder("s-" + i).startSpan().end();
      }
      assertTrue(flush(provider, exporter).join(120, TimeUnit.SECONDS).isSuccess());
      assertEquals(new ExporterStats(2_000, 0, Map.of()), exporter.stats());
      Set<Long> places = new HashSet<>();
      verdicts("away").forEach(verdict -> places.add(verdict.leafIndex().getAsLong()));
      assertEquals(2_000, places.size());
      provider.shutdown().join(60, TimeUnit.SECONDS);
    }
  }

  @Test
  void countsWhatAFullQueueLosesAndWhatAShutdownLeaves() throws Exception {
    try (CutProxy nobody = new CutProxy(null);
        KmsClient away = KmsClient.builder(nobody.address()).insecure().build()) {
      SigningSpanExporter exporter =
          exporter(away, "full").queue(10, 1_000_000).timeout(Duration.ofMillis(50)).build();
      SdkTracerProvider provider = provider(exporter, 5);
      for (int i = 0; i < 30; i++) {
        provider.get("test").spanBuilder("s-" + i).startSpan().end();
      }
      provider.forceFlush().join(60, TimeUnit.SECONDS);
      assertEquals(10, exporter.shutdown(Duration.ofMillis(50)));
      provider.shutdown().join(60, TimeUnit.SECONDS);
      ExporterStats stats = exporter.stats();
      assertEquals(0, stats.delivered());
      assertEquals(Map.of(LossCause.QUEUE_FULL, 20L, LossCause.SHUTDOWN, 10L), stats.lost());
      assertEquals(Map.of(LossCause.QUEUE_FULL, 20, LossCause.SHUTDOWN, 10), told);
      assertEquals(List.of(), backend.requests());
    }
  }

  @Test
  void isShutDownThoughTheWaitIsInterrupted() throws Exception {
    try (CutProxy nobody = new CutProxy(null);
        KmsClient away = KmsClient.builder(nobody.address()).insecure().build()) {
      SigningSpanExporter exporter = exporter(away, "interrupted").build();
      SdkTracerProvider provider = provider(exporter);
      provider.get("test").spanBuilder("a").startSpan().end();
      assertTrue(provider.forceFlush().join(60, TimeUnit.SECONDS).isSuccess());
      Thread.currentThread().interrupt();
      assertThrows(InterruptedException.class, () -> exporter.shutdown(Duration.ofSeconds(60)));
      assertEquals(Map.of(LossCause.SHUTDOWN, 1L), exporter.stats().lost());
      assertEquals(1, exporter.shutdown(Duration.ofSeconds(60)));
      provider.shutdown().join(60, TimeUnit.SECONDS);
    }
  }

  @Test
  void failsAFlushAndAShutdownThatLoseSpans() throws Exception {
    try (CutProxy nobody = new CutProxy(null);
        KmsClient away = KmsClient.builder(nobody.address()).insecure().build()) {
      SigningSpanExporter exporter = exporter(away, "lost").build();
      SdkTracerProvider provider = provider(exporter);
      provider.get("test").spanBuilder("a").startSpan().end();
      assertTrue(provider.forceFlush().join(60, TimeUnit.SECONDS).isSuccess()); // It is in the queue.
      CompletableResultCode flush = exporter.batchProcessor().forceFlush();
      assertEquals(1, exporter.shutdown(Duration.ZERO));
      assertTrue(flush.join(60, TimeUnit.SECONDS).isDone());
      assertFalse(flush.isSuccess());
      assertFalse(provider.shutdown().join(60, TimeUnit.SECONDS).isSuccess());
    }
  }

  @Test
  void deliversWithinTheTimeoutOrNotAtAllWithoutAQueue() throws Exception {
    try (CutProxy nobody = new CutProxy(null);
        KmsClient away = KmsClient.builder(nobody.address()).insecure().build()) {
      SigningSpanExporter none =
          exporter(away, "none").withoutQueue().timeout(Duration.ofMillis(200)).build();
      SdkTracerProvider provider =
          SdkTracerProvider.builder().addSpanProcessor(SimpleSpanProcessor.create(none)).build();
      provider.get("test").spanBuilder("lost").startSpan().end();
      assertEquals(new ExporterStats(0, 0, Map.of(LossCause.TIMEOUT, 1L)), none.stats());
      nobody.cut(service.grpc());
      provider.shutdown().join(60, TimeUnit.SECONDS);
    }
    SigningSpanExporter exporter = exporter(client, "direct").withoutQueue().build();
    SdkTracerProvider provider =
        SdkTracerProvider.builder().addSpanProcessor(SimpleSpanProcessor.create(exporter)).build();
    provider.get("test").spanBuilder("kept").startSpan().end();
    assertEquals(new ExporterStats(1, 0, Map.of()), exporter.stats());
    assertTrue(verdicts("direct").get(0).verified());
    provider.shutdown().join(60, TimeUnit.SECONDS);
  }

  @Test
  void losesABatchThatTheServiceRefusesForGood() throws Exception {
    SigningSpanExporter exporter = exporter(client, "Not a tenant").build();
    SdkTracerProvider provider = provider(exporter);
    provider.get("test").spanBuilder("a").startSpan().end();
    provider.shutdown().join(60, TimeUnit.SECONDS);
    assertEquals(new ExporterStats(0, 0, Map.of(LossCause.REJECTED, 1L)), exporter.stats());
    assertEquals(Map.of(LossCause.REJECTED, 1), told);
  }

  @Test
  void dropsWhatTheBackendRefusesForGoodAndGoesOn() throws Exception {
    List<Loss> losses = new ArrayList<>();
    SigningSpanExporter exporter = exporter(client, "bad-request").onLoss(losses::add).build();
    SdkTracerProvider provider = provider(exporter);
    backend.answer(400, "no such\nfield");
    provider.get("test").spanBuilder("a").startSpan().end();
    assertTrue(flush(provider, exporter).join(60, TimeUnit.SECONDS).isSuccess());
    backend.answer(200);
    provider.get("test").spanBuilder("b").startSpan().end();
    provider.shutdown().join(60, TimeUnit.SECONDS);
    assertEquals(new ExporterStats(1, 0, Map.of(LossCause.REJECTED, 1L)), exporter.stats());
    assertEquals(1, losses.size());
    assertEquals("a", losses.get(0).spans().get(0).getName());
    assertEquals("the backend refuses them: 400 Bad Request: no such field", losses.get(0).why());
    assertEquals(2, backend.requests().size());
  }

  /** A backend for OTLP over gRPC that refuses as it is told to, and then takes what it gets. */
  private static ServerServiceDefinition collector(Deque<Status> refusals) {
    MethodDescriptor.Marshaller<byte[]> bytes =
        new MethodDescriptor.Marshaller<>() {
          @Override
          public InputStream stream(byte[] value) {
            return new ByteArrayInputStream(value);
          }

          @Override
          public byte[] parse(InputStream stream) {
            try {
              return stream.readAllBytes();
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
        };
    String service = "opentelemetry.proto.collector.trace.v1.TraceService";
    MethodDescriptor<byte[], byte[]> export =
        MethodDescriptor.newBuilder(bytes, bytes)
            .setType(MethodDescriptor.MethodType.UNARY)
            .setFullMethodName(service + "/Export")
            .build();
    return ServerServiceDefinition.builder(service)
        .addMethod(
            export,
            ServerCalls.asyncUnaryCall(
                (request, answer) -> {
                  Status refusal = refusals.poll();
                  if (refusal != null) {
                    answer.onError(refusal.asException());
                  } else {
                    answer.onNext(new byte[0]);
                    answer.onCompleted();
                  }
                }))
        .build();
  }

  @Test
  void followsOtlpInWhatABackendRefusesForGoodByGrpc() throws Exception {
    Deque<Status> refusals = new ArrayDeque<>();
    Set<Status.Code> repeated =
        EnumSet.of(
            Status.Code.CANCELLED,
            Status.Code.DEADLINE_EXCEEDED,
            Status.Code.RESOURCE_EXHAUSTED,
            Status.Code.ABORTED,
            Status.Code.OUT_OF_RANGE,
            Status.Code.UNAVAILABLE,
            Status.Code.DATA_LOSS);
    Server server =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .addService(collector(refusals))
            .build()
            .start();
    try {
      for (Status.Code code : EnumSet.complementOf(EnumSet.of(Status.Code.OK))) {
        refusals.add(code.toStatus().withDescription("no"));
        List<Loss> losses = new ArrayList<>();
        OtlpGrpcSpanExporter plain =
            OtlpGrpcSpanExporter.builder()
                .setEndpoint("http://127.0.0.1:" + server.getPort())
                .setRetryPolicy(null)
                .build();
        SigningSpanExporter exporter =
            SigningSpanExporter.builder(plain, client, "by-grpc").withoutQueue().onLoss(losses::add).build();
        SdkTracerProvider provider =
            SdkTracerProvider.builder().addSpanProcessor(SimpleSpanProcessor.create(exporter)).build();
        provider.get("test").spanBuilder("a").startSpan().end();
        provider.shutdown().join(60, TimeUnit.SECONDS);
        assertTrue(refusals.isEmpty());
        boolean isRepeated = repeated.contains(code);
        assertEquals(
            isRepeated ? List.of() : List.of("the backend refuses them: " + code + ": no"),
            losses.stream().map(Loss::why).toList());
        assertEquals(isRepeated ? 1 : 0, exporter.stats().delivered());
      }
    } finally {
      server.shutdownNow();
    }
  }

  @Test
  void saysWhatWaitsAlsoAsGauges() throws Exception {
    Reader reader = new Reader();
    try (SdkMeterProvider meters = SdkMeterProvider.builder().registerMetricReader(reader).build()) {
      backend.answer(503);
      SigningSpanExporter exporter = exporter(client, "waiting").meterProvider(meters).build();
      SdkTracerProvider provider = provider(exporter);
      provider.get("test").spanBuilder("a").startSpan().end();
      provider.get("test").spanBuilder("b").startSpan().end();
      assertTrue(provider.forceFlush().join(60, TimeUnit.SECONDS).isSuccess());
      ExporterStats stats = exporter.stats();
      assertEquals(2, stats.waitingSpans());
      assertTrue(stats.waitingBytes() > 0);
      assertEquals(
          Map.of(
              "fluo.kms.exporter.waiting.spans {span} waiting", 2L,
              "fluo.kms.exporter.waiting.bytes By waiting", stats.waitingBytes()),
          gauges(reader));
      assertEquals(2, exporter.shutdown(Duration.ZERO));
      assertEquals(new ExporterStats(0, 0, Map.of(LossCause.SHUTDOWN, 2L)), exporter.stats());
      assertEquals(Map.of(), gauges(reader));
      provider.shutdown().join(60, TimeUnit.SECONDS);
    }
  }

  private static final class Reader implements MetricReader {
    private CollectionRegistration registration;

    @Override
    public void register(CollectionRegistration registration) {
      this.registration = registration;
    }

    @Override
    public AggregationTemporality getAggregationTemporality(InstrumentType type) {
      return AggregationTemporality.CUMULATIVE;
    }

    @Override
    public CompletableResultCode forceFlush() {
      return CompletableResultCode.ofSuccess();
    }

    @Override
    public CompletableResultCode shutdown() {
      return CompletableResultCode.ofSuccess();
    }
  }

  private static Map<String, Long> gauges(Reader reader) {
    Map<String, Long> values = new HashMap<>();
    for (MetricData metric : reader.registration.collectAllMetrics()) {
      for (LongPointData point : metric.getLongGaugeData().getPoints()) {
        String tenant = point.getAttributes().get(AttributeKey.stringKey("fluo.kms.tenant"));
        values.put(metric.getName() + " " + metric.getUnit() + " " + tenant, point.getValue());
      }
    }
    return values;
  }

  @Test
  void givesUpWhatIsTooOldToDeliver() throws Exception {
    backend.answer(503);
    SigningSpanExporter exporter = exporter(client, "old").deliveryAge(Duration.ofSeconds(2)).build();
    SdkTracerProvider provider = provider(exporter);
    provider.get("test").spanBuilder("a").startSpan().end();
    assertTrue(flush(provider, exporter).join(60, TimeUnit.SECONDS).isSuccess());
    assertEquals(Map.of(LossCause.UNDELIVERABLE, 1L), exporter.stats().lost());
    provider.shutdown().join(60, TimeUnit.SECONDS);
  }

  @Test
  void isNotTraced() throws Exception {
    AtomicInteger traced = new AtomicInteger();
    AtomicInteger calls = new AtomicInteger();
    // Looks, as the instrumentation of gRPC does, for the SDK's switch where a call is made.
    ClientInterceptor instrumentation =
        new ClientInterceptor() {
          @Override
          public <Q, A> ClientCall<Q, A> interceptCall(
              MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
            calls.incrementAndGet();
            if (!io.opentelemetry.api.impl.InstrumentationUtil.shouldSuppressInstrumentation(Context.current())) {
              traced.incrementAndGet();
            }
            return next.newCall(method, options);
          }
        };
    try (KmsClient instrumented = KmsClient.builder(service.grpc()).insecure().intercept(instrumentation).build()) {
      SdkTracerProvider provider = provider(exporter(instrumented, "untraced").build());
      provider.get("test").spanBuilder("a").startSpan().end();
      provider.shutdown().join(60, TimeUnit.SECONDS);
    }
    assertEquals(1, calls.get());
    assertEquals(0, traced.get());
    assertEquals(1, verdicts("untraced").size());
  }

  /** The batch processor hands over what it has, and does not flush its exporter. */
  private static CompletableResultCode flush(SdkTracerProvider provider, SigningSpanExporter exporter) {
    assertTrue(provider.forceFlush().join(60, TimeUnit.SECONDS).isSuccess());
    return exporter.flush();
  }

  private SigningSpanExporter.Builder exporter(KmsClient by, String tenant) {
    OtlpHttpSpanExporter plain =
        OtlpHttpSpanExporter.builder().setEndpoint(backend.url()).setRetryPolicy(null).build();
    return SigningSpanExporter.builder(plain, by, tenant)
        .onLost((cause, spans) -> told.merge(cause, spans.size(), Integer::sum));
  }

  private static SdkTracerProvider provider(SigningSpanExporter exporter) {
    return provider(exporter, 512);
  }

  private static SdkTracerProvider provider(SigningSpanExporter exporter, int batch) {
    return SdkTracerProvider.builder()
        .setResource(
            Resource.create(Attributes.of(AttributeKey.stringKey("service.name"), "décisions"), "https://schema"))
        .setSpanLimits(SpanLimits.builder().setMaxNumberOfAttributes(16).setMaxNumberOfEvents(2).build())
        .addSpanProcessor(
            BatchSpanProcessor.builder(exporter).setMaxExportBatchSize(batch).setMaxQueueSize(4096).build())
        .build();
  }

  private static void everyField(SdkTracerProvider provider) {
    Tracer tracer = provider.tracerBuilder("scope").setInstrumentationVersion("1.2").setSchemaUrl("https://s").build();
    TraceState state = TraceState.builder().put("other", "2").put("vendor", "1").build();
    SpanContext remote =
        SpanContext.createFromRemoteParent(
            "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", TraceFlags.getSampled(), state);
    Span span =
        tracer
            .spanBuilder("all \ud800 of it")
            .setParent(Context.root().with(Span.wrap(remote)))
            .setSpanKind(SpanKind.CONSUMER)
            .addLink(remote, Attributes.of(AttributeKey.stringKey("why"), ""))
            .addLink(SpanContext.getInvalid())
            .setAttribute("text", "\u0000 \u2028 \ud83d\ude00 \ud800")
            .setAttribute("empty", "")
            .setAttribute("truth", false)
            .setAttribute("least", Long.MIN_VALUE)
            .setAttribute("tiny", Double.MIN_VALUE)
            .setAttribute("nan", Double.NaN)
            .setAttribute("less", Double.NEGATIVE_INFINITY)
            .setAttribute("zero", -0.0)
            .setAttribute(AttributeKey.stringArrayKey("texts"), List.of("a", ""))
            .setAttribute(AttributeKey.booleanArrayKey("truths"), List.of(true))
            .setAttribute(AttributeKey.longArrayKey("wholes"), List.of())
            .setAttribute(AttributeKey.doubleArrayKey("numbers"), List.of(1e21, 1e-7))
            .setAttribute(AttributeKey.valueKey("map"), aMap())
            .startSpan();
    for (int i = 0; i < 20; i++) {
      span.setAttribute("more-" + i, i);
      span.addEvent("event", Attributes.of(AttributeKey.longKey("attempt"), (long) i));
    }
    span.setStatus(StatusCode.ERROR, "déscribed");
    span.end();
    tracer.spanBuilder("").startSpan().end();
    tracer.spanBuilder("ok").startSpan().setStatus(StatusCode.OK).end();
    provider.get("another scope").spanBuilder("b").setSpanKind(SpanKind.SERVER).startSpan().end();
  }

  private static Value<?> aMap() {
    return Value.of(
        KeyValue.of("bytes", Value.of(new byte[] {0, -1})),
        KeyValue.of("list", Value.of(Value.of("a"), Value.of(1L), Value.of(true), Value.of(0.5), Value.empty())),
        KeyValue.of("map", Value.of(KeyValue.of("k", Value.of("v")))));
  }

  private List<Verdict> verdicts(String tenant) throws Exception {
    List<Verdict> verdicts =
        new Verifier(KeySet.parse(service.keySet(tenant))).verifyExport(backend.export(), tenant);
    assertTrue(verdicts.stream().noneMatch(verdict -> verdict.reason() == Reason.MALFORMED), verdicts.toString());
    return verdicts;
  }
}
