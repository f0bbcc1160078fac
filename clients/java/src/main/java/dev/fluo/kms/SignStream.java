package dev.fluo.kms;

import dev.fluo.kms.v1.SignSpansRequest;
import dev.fluo.kms.v1.SignSpansResponse;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.util.function.BiConsumer;

/** One stream of SignSpans. Tells when it takes more, what it answers, and how it ends, each from a thread of gRPC's. */
final class SignStream implements ClientResponseObserver<SignSpansRequest, SignSpansResponse> {
  private final Runnable drained;
  private final BiConsumer<SignStream, SignSpansResponse> answered;
  private final BiConsumer<SignStream, StatusRuntimeException> ended;
  private ClientCallStreamObserver<SignSpansRequest> requests;

  SignStream(
      Runnable drained,
      BiConsumer<SignStream, SignSpansResponse> answered,
      BiConsumer<SignStream, StatusRuntimeException> ended) {
    this.drained = drained;
    this.answered = answered;
    this.ended = ended;
  }

  @Override
  public void beforeStart(ClientCallStreamObserver<SignSpansRequest> stream) {
    requests = stream;
    stream.setOnReadyHandler(drained);
  }

  /** Whether it takes more without holding it in memory. */
  boolean isReady() {
    return requests.isReady();
  }

  void send(SignSpansRequest request) {
    try {
      requests.onNext(request);
    } catch (IllegalStateException e) {
      // It has ended, which it tells as its end.
    }
  }

  /** Ends it, and waits for nothing that it may still answer unless it is to be orderly. */
  void end(boolean orderly) {
    try {
      if (orderly) {
        requests.onCompleted();
      } else {
        requests.cancel("ended by the client", null);
      }
    } catch (IllegalStateException e) {
      // It has ended already.
    }
  }

  @Override
  public void onNext(SignSpansResponse answer) {
    answered.accept(this, answer);
  }

  @Override
  public void onError(Throwable error) {
    ended.accept(
        this,
        error instanceof StatusRuntimeException how ? how : Status.fromThrowable(error).asRuntimeException());
  }

  @Override
  public void onCompleted() {
    ended.accept(
        this,
        Status.OK.withDescription("the service ended the stream without an answer to each batch").asRuntimeException());
  }
}
