package dev.fluo.kms;

import dev.fluo.kms.v1.KmsServiceGrpc;
import dev.fluo.kms.v1.SignSpansRequest;
import dev.fluo.kms.v1.SignSpansResponse;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** A service whose streams of SignSpans answer as a test says, for what the real one does not do on demand. */
final class ScriptedService extends KmsServiceGrpc.KmsServiceImplBase implements AutoCloseable {
  /** What a stream does with a request: {@code stream} counts from 0, and so does {@code request} in it. */
  interface Script {
    void answer(int stream, int request, SignSpansRequest given, StreamObserver<SignSpansResponse> answers);
  }

  private final Script script;
  private final Server server;
  private final List<SignSpansRequest> given = new CopyOnWriteArrayList<>();
  private int streams;

  ScriptedService(Script script) throws Exception {
    this(script, Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create()));
  }

  ScriptedService(Script script, ServerBuilder<?> builder) throws Exception {
    this.script = script;
    this.server = builder.addService(this).build().start();
  }

  String address() {
    return "127.0.0.1:" + server.getPort();
  }

  /** All that was received, over all streams. */
  List<SignSpansRequest> given() {
    return given;
  }

  @Override
  public StreamObserver<SignSpansRequest> signSpans(StreamObserver<SignSpansResponse> answers) {
    int stream = streams++;
    return new StreamObserver<>() {
      private int requests;

      @Override
      public void onNext(SignSpansRequest request) {
        given.add(request);
        script.answer(stream, requests++, request, answers);
      }

      @Override
      public void onError(Throwable error) {
        // The client left.
      }

      @Override
      public void onCompleted() {
        answers.onCompleted();
      }
    };
  }

  @Override
  public void close() {
    server.shutdownNow();
  }
}
