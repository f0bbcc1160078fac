package dev.fluo.kms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.fluo.kms.v1.SignSpansRequest;
import dev.fluo.kms.v1.SignSpansResponse;
import dev.fluo.kms.v1.SignedSpan;
import dev.fluo.kms.v1.SpanResult;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a signer makes of answers and ends that the real service gives seldom. */
@Timeout(300)
class SpanSignerAnswersTest {
  @Test
  void sendsTheSameBytesInTheSameOrderOverAnotherStream() throws Exception {
    for (Status end :
        List.of(Status.UNAVAILABLE, Status.ABORTED, Status.RESOURCE_EXHAUSTED, Status.INTERNAL, Status.UNKNOWN)) {
      try (ScriptedService service = new ScriptedService(endsAtSecondRequest(end));
          KmsClient client = KmsClient.builder(service.address()).insecure().build();
          SpanSigner signer = SpanSigner.builder(client, "acme").build()) {
        CompletableFuture<List<SpanOutcome>> first = signer.sign(List.of(Spans.of(1)));
        CompletableFuture<List<SpanOutcome>> second = signer.sign(List.of(Spans.of(2)));
        assertEquals(1, first.get(60, TimeUnit.SECONDS).size(), end.toString());
        assertEquals(2, second.get(60, TimeUnit.SECONDS).size(), end.toString());
        assertEquals(service.given().subList(0, 2), service.given().subList(2, 4));
        assertTrue(!service.given().get(0).getRequestId().equals(service.given().get(1).getRequestId()));
      }
    }
  }

  @Test
  void opensAnotherStreamAfterACleanEnd() throws Exception {
    ScriptedService.Script script =
        (stream, request, given, answers) -> {
          if (stream == 0) {
            answers.onCompleted();
          } else {
            answers.onNext(good(given));
          }
        };
    try (ScriptedService service = new ScriptedService(script);
        KmsClient client = KmsClient.builder(service.address()).insecure().build();
        SpanSigner signer = SpanSigner.builder(client, "acme").build()) {
      assertEquals(1, signer.sign(List.of(Spans.of(1))).get(60, TimeUnit.SECONDS).size());
    }
  }

  @Test
  void holdsFourBatchesAtMostInOrderWhileTheServiceAnswersSlowly() throws Exception {
    AtomicInteger unanswered = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    ScheduledExecutorService slow = Executors.newSingleThreadScheduledExecutor();
    ScriptedService.Script script =
        (stream, request, given, answers) -> {
          most.accumulateAndGet(unanswered.incrementAndGet(), Math::max);
          Runnable answer =
              () -> {
                unanswered.decrementAndGet();
                answers.onNext(good(given));
              };
          slow.schedule(answer, 5, TimeUnit.MILLISECONDS);
        };
    try (ScriptedService service = new ScriptedService(script);
        KmsClient client = KmsClient.builder(service.address()).insecure().build();
        SpanSigner signer = SpanSigner.builder(client, "acme").maxUnanswered(4).build()) {
      List<CompletableFuture<List<SpanOutcome>>> answers = new ArrayList<>();
      for (int spans = 1; spans <= 40; spans++) {
        answers.add(signer.sign(List.of(Spans.of(spans))));
      }
      List<Integer> inOrder = IntStream.rangeClosed(1, 40).boxed().toList();
      List<Integer> answered = new ArrayList<>();
      for (CompletableFuture<List<SpanOutcome>> answer : answers) {
        answered.add(answer.get(60, TimeUnit.SECONDS).size());
      }
      assertEquals(inOrder, answered);
      assertEquals(
          inOrder, service.given().stream().map(each -> each.getResourceSpans(0).getScopeSpans(0).getSpansCount()).toList());
      assertTrue(most.get() <= 4, most.toString());
    } finally {
      slow.shutdownNow();
    }
  }

  @Test
  void failsTheFirstBatchAloneWhereTheServiceRefusesIt() throws Exception {
    for (Status end :
        List.of(
            Status.INVALID_ARGUMENT, Status.FAILED_PRECONDITION, Status.PERMISSION_DENIED, Status.ALREADY_EXISTS)) {
      try (ScriptedService service = new ScriptedService(endsAtSecondRequest(end));
          KmsClient client = KmsClient.builder(service.address()).insecure().build();
          SpanSigner signer = SpanSigner.builder(client, "acme").build()) {
        CompletableFuture<List<SpanOutcome>> first = signer.sign(List.of(Spans.of(1)));
        CompletableFuture<List<SpanOutcome>> second = signer.sign(List.of(Spans.of(1)));
        assertEquals(end.getCode(), codeOf(first));
        assertEquals(1, second.get(60, TimeUnit.SECONDS).size());
      }
    }
  }

  @Test
  void asksOnceMoreWithAFreshTokenThenFailsWhatIsUnanswered() throws Exception {
    ScriptedService.Script script =
        (stream, request, given, answers) -> answers.onError(Status.UNAUTHENTICATED.asRuntimeException());
    List<String> shown = new java.util.concurrent.CopyOnWriteArrayList<>();
    try (ScriptedService service = new ScriptedService(script);
        KmsClient client =
            KmsClient.builder(service.address())
                .insecure()
                .token(
                    () -> {
                      shown.add("t");
                      return "t";
                    })
                .build();
        SpanSigner signer = SpanSigner.builder(client, "acme").build()) {
      assertEquals(Status.Code.UNAUTHENTICATED, codeOf(signer.sign(List.of(Spans.of(1)))));
      assertEquals(2, shown.size());
    }
  }

  @Test
  void saysThatAServiceIsTooOldToGiveAttributes() throws Exception {
    ScriptedService.Script script =
        (stream, request, given, answers) ->
            answers.onNext(
                answer(given).addResults(SpanResult.newBuilder().setSigned(SignedSpan.getDefaultInstance())).build());
    try (ScriptedService service = new ScriptedService(script);
        KmsClient client = KmsClient.builder(service.address()).insecure().build();
        SpanSigner signer = SpanSigner.builder(client, "acme").build()) {
      ExecutionException error =
          assertThrows(
              ExecutionException.class, () -> signer.sign(List.of(Spans.of(1))).get(60, TimeUnit.SECONDS));
      assertTrue(error.getMessage().contains("update it"), error.getMessage());
    }
  }

  @Test
  void refusesAnswersToAnotherBatchAndOfAnotherNumber() throws Exception {
    for (boolean isOther : List.of(true, false)) {
      ScriptedService.Script script =
          (stream, request, given, answers) ->
              answers.onNext(isOther ? good(given).toBuilder().setRequestId("x").build() : answer(given).build());
      try (ScriptedService service = new ScriptedService(script);
          KmsClient client = KmsClient.builder(service.address()).insecure().build();
          SpanSigner signer = SpanSigner.builder(client, "acme").build()) {
        assertEquals(Status.Code.INTERNAL, codeOf(signer.sign(List.of(Spans.of(1)))));
      }
    }
  }

  @Test
  void failsABatchThatHasNoAnswerFor23Hours() throws Exception {
    MovedClock clock = new MovedClock();
    ScriptedService.Script script =
        (stream, request, given, answers) -> {
          clock.now = clock.now.plus(Duration.ofHours(12));
          answers.onError(Status.UNAVAILABLE.asRuntimeException());
        };
    try (ScriptedService service = new ScriptedService(script);
        KmsClient client = KmsClient.builder(service.address()).insecure().build();
        SpanSigner signer = SpanSigner.builder(client, "acme").clock(clock).build()) {
      assertEquals(Status.Code.DEADLINE_EXCEEDED, codeOf(signer.sign(List.of(Spans.of(1)))));
      assertEquals(2, service.given().size());
    }
  }

  /** Ends the first stream at its second request with no answer; later streams answer each request. */
  private static ScriptedService.Script endsAtSecondRequest(Status end) {
    return (stream, request, given, answers) -> {
      if (stream > 0) {
        answers.onNext(good(given));
      } else if (request == 1) {
        answers.onError(end.asRuntimeException());
      }
    };
  }

  private static final class MovedClock extends Clock {
    private volatile Instant now = Instant.parse("2026-01-01T00:00:00Z");

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      return this;
    }

    @Override
    public Instant instant() {
      return now;
    }
  }

  private static Status.Code codeOf(CompletableFuture<?> answer) {
    ExecutionException error = assertThrows(ExecutionException.class, () -> answer.get(60, TimeUnit.SECONDS));
    return assertInstanceOf(StatusRuntimeException.class, error.getCause()).getStatus().getCode();
  }

  private static SignSpansResponse good(SignSpansRequest given) {
    SignSpansResponse.Builder answer = answer(given);
    for (int i = 0; i < given.getResourceSpans(0).getScopeSpans(0).getSpansCount(); i++) {
      SignedSpan signed =
          SignedSpan.newBuilder()
              .addAttributes(Spans.attribute("audit.integrity.algorithm", "EdDSA"))
              .setLeafIndex(i)
              .build();
      answer.addResults(SpanResult.newBuilder().setSigned(signed));
    }
    return answer.build();
  }

  private static SignSpansResponse.Builder answer(SignSpansRequest given) {
    return SignSpansResponse.newBuilder().setRequestId(given.getRequestId()).setBatchDone(true);
  }
}
