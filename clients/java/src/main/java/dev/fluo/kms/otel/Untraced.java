package dev.fluo.kms.otel;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/**
 * Calls that OpenTelemetry's instrumentation leaves alone, as the SDK's own exporters make theirs: a span for each would
 * be exported and make another.
 */
final class Untraced implements ClientInterceptor {
  /** The SDK's own switch, which has moved between its packages. */
  private static final MethodHandle SUPPRESS = find("io.opentelemetry.api.impl.InstrumentationUtil");

  private static final MethodHandle SUPPRESS_BEFORE = find("io.opentelemetry.api.internal.InstrumentationUtil");

  static void run(Runnable task) {
    MethodHandle suppress = SUPPRESS != null ? SUPPRESS : SUPPRESS_BEFORE;
    if (suppress == null) {
      task.run();
      return;
    }
    try {
      suppress.invokeExact(task);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static MethodHandle find(String type) {
    try {
      return MethodHandles.publicLookup()
          .findStatic(
              Class.forName(type), "suppressInstrumentation", MethodType.methodType(void.class, Runnable.class));
    } catch (ReflectiveOperationException e) {
      return null;
    }
  }

  /** Instrumentation looks when a call is made, or when it starts. */
  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    Made<Q, A> made = new Made<>();
    run(() -> made.call = next.newCall(method, options));
    return new SimpleForwardingClientCall<>(made.call) {
      @Override
      public void start(Listener<A> listener, Metadata headers) {
        run(() -> super.start(listener, headers));
      }
    };
  }

  private static final class Made<Q, A> {
    private ClientCall<Q, A> call;
  }
}
