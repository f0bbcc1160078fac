package dev.fluo.kms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.v1.ScopeSpans;
import dev.fluo.kms.v1.SignMode;
import dev.fluo.kms.v1.Span;
import dev.fluo.kms.verify.KeySet;
import dev.fluo.kms.verify.Verdict;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Against the real service. */
@Timeout(300)
class SpanSignerTest {
  @AutoClose private static TestService service;

  @BeforeAll
  static void startService() throws Exception {
    service = TestService.start();
  }

  @Test
  void signsInEachModeWhatThenVerifies() throws Exception {
    for (SignMode mode : List.of(SignMode.SIGN_MODE_LOG, SignMode.SIGN_MODE_INDIVIDUAL)) {
      String tenant = mode == SignMode.SIGN_MODE_LOG ? "log" : "individual";
      try (KmsClient client = service.client();
          SpanSigner signer = SpanSigner.builder(client, tenant).mode(mode).build()) {
        ResourceSpans spans = Spans.of(3);
        List<SpanOutcome> outcomes = signer.sign(List.of(spans)).get(60, TimeUnit.SECONDS);
        SpanVerifier verifier = new SpanVerifier(KeySet.parse(service.keySet(tenant)));
        ScopeSpans scope = spans.getScopeSpans(0);
        for (int i = 0; i < 3; i++) {
          SpanOutcome.Signed signed = assertInstanceOf(SpanOutcome.Signed.class, outcomes.get(i));
          Span span = scope.getSpans(i).toBuilder().addAllAttributes(signed.attributes()).build();
          Verdict verdict = verifier.verify(tenant, spans.getResource(), scope.getScope(), span);
          assertTrue(verdict.verified(), verdict.toString());
          assertEquals(signed.leafIndex(), verdict.leafIndex());
        }
      }
    }
  }

  @Test
  void refusesABadSpanInItsPlaceAlone() throws Exception {
    ScopeSpans scope = ScopeSpans.newBuilder().addSpans(Spans.span("a")).addSpans(Spans.bad()).addSpans(Spans.span("b")).build();
    try (KmsClient client = service.client();
        SpanSigner signer = SpanSigner.builder(client, "refused").build()) {
      List<SpanOutcome> outcomes =
          signer.sign(List.of(ResourceSpans.newBuilder().addScopeSpans(scope).build())).get(60, TimeUnit.SECONDS);
      assertInstanceOf(SpanOutcome.Signed.class, outcomes.get(0));
      assertInstanceOf(SpanOutcome.Signed.class, outcomes.get(2));
      SpanOutcome.Refused refused = assertInstanceOf(SpanOutcome.Refused.class, outcomes.get(1));
      assertEquals(Status.Code.INVALID_ARGUMENT, refused.code());
      assertTrue(refused.field().endsWith("attributes[1].key"), refused.field());
    }
  }

  @Test
  void splitsManySpansAndGivesTheirOutcomesInOrder() throws Exception {
    try (KmsClient client = service.client();
        SpanSigner signer = SpanSigner.builder(client, "many").build()) {
      List<SpanBatch> batches = signer.split(List.of(Spans.of(1_500), Spans.of(1_000)));
      assertEquals(List.of(1_000, 1_000, 500), batches.stream().map(SpanBatch::spans).toList());
      List<SpanOutcome> outcomes = signer.sign(List.of(Spans.of(1_500), Spans.of(1_000))).get(120, TimeUnit.SECONDS);
      assertEquals(2_500, outcomes.size());
      for (int i = 0; i < outcomes.size(); i++) {
        assertEquals(i, ((SpanOutcome.Signed) outcomes.get(i)).leafIndex().getAsLong());
      }
    }
  }

  @Test
  void refusesASpanThatIsLargerThanAMessage() throws Exception {
    Span large = Spans.span("x".repeat(5 * 1024 * 1024));
    ScopeSpans scope = ScopeSpans.newBuilder().addSpans(Spans.span("a")).addSpans(large).build();
    try (KmsClient client = service.client();
        SpanSigner signer = SpanSigner.builder(client, "large").build()) {
      List<SpanOutcome> outcomes =
          signer.sign(List.of(ResourceSpans.newBuilder().addScopeSpans(scope).build())).get(60, TimeUnit.SECONDS);
      assertInstanceOf(SpanOutcome.Signed.class, outcomes.get(0));
      assertInstanceOf(SpanOutcome.Refused.class, outcomes.get(1));
    }
  }

  @Test
  void entersEachSpanOnceThoughItsConnectionIsCut() throws Exception {
    try (CutProxy proxy = new CutProxy(service.grpc());
        KmsClient client = KmsClient.builder(proxy.address()).insecure().build();
        SpanSigner signer = SpanSigner.builder(client, "cut").build()) {
      List<CompletableFuture<List<SpanOutcome>>> answers = new ArrayList<>();
      for (int batch = 0; batch < 40; batch++) {
        answers.add(signer.sign(List.of(Spans.of(20))));
        if (batch % 10 == 5) {
          proxy.cut(service.grpc());
        }
      }
      Set<Long> indices = new HashSet<>();
      for (CompletableFuture<List<SpanOutcome>> answer : answers) {
        for (SpanOutcome outcome : answer.get(120, TimeUnit.SECONDS)) {
          indices.add(((SpanOutcome.Signed) outcome).leafIndex().getAsLong());
        }
      }
      assertEquals(800, indices.size());
      assertEquals(799, indices.stream().mapToLong(index -> index).max().orElseThrow());
    }
  }

  @Test
  void failsABatchThatTheServiceRefusesAndSignsTheOthers() throws Exception {
    try (KmsClient client = service.client();
        SpanSigner wrong = SpanSigner.builder(client, "Not a tenant").build();
        SpanSigner signer = SpanSigner.builder(client, "right").build()) {
      CompletableFuture<List<SpanOutcome>> first = wrong.sign(List.of(Spans.of(1)));
      ExecutionException error = assertThrows(ExecutionException.class, () -> first.get(60, TimeUnit.SECONDS));
      StatusRuntimeException status = assertInstanceOf(StatusRuntimeException.class, error.getCause());
      assertEquals(Status.Code.INVALID_ARGUMENT, status.getStatus().getCode());
      assertEquals("tenant_id", ErrorDetails.of(error).fields().get(0).field());
      SpanBatch batch = signer.split(List.of(Spans.of(2))).get(0);
      List<SpanOutcome> once = signer.sign(batch).get(60, TimeUnit.SECONDS);
      assertEquals(indices(once), indices(signer.sign(batch).get(60, TimeUnit.SECONDS)));
    }
  }

  @Test
  void blocksWhileTooManyBatchesHaveNoAnswer() throws Exception {
    try (CutProxy nobody = new CutProxy(null);
        KmsClient client = KmsClient.builder(nobody.address()).insecure().build();
        SpanSigner signer = SpanSigner.builder(client, "waits").maxUnanswered(2).build()) {
      CompletableFuture<List<SpanOutcome>> first = signer.sign(List.of(Spans.of(1)));
      signer.sign(List.of(Spans.of(1)));
      SpanBatch third = signer.split(List.of(Spans.of(1))).get(0);
      assertThrows(
          java.util.concurrent.TimeoutException.class, () -> signer.sign(third, Duration.ofMillis(50)));
      assertFalse(signer.flush(Duration.ofMillis(50)));
      first.cancel(false);
      CompletableFuture<List<SpanOutcome>> second = signer.sign(third, Duration.ofSeconds(60));
      nobody.cut(service.grpc());
      assertEquals(1, second.get(60, TimeUnit.SECONDS).size());
      assertTrue(signer.flush(Duration.ofSeconds(60)));
    }
  }

  private static List<Long> indices(List<SpanOutcome> outcomes) {
    return outcomes.stream().map(each -> ((SpanOutcome.Signed) each).leafIndex().getAsLong()).toList();
  }
}
