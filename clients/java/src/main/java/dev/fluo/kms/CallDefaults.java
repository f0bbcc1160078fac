package dev.fluo.kms;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** Gives unary calls that have no deadline the client's, and bounds the messages of any call. */
final class CallDefaults implements ClientInterceptor {
  private final Duration deadline;

  CallDefaults(Duration deadline) {
    this.deadline = deadline;
  }

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    CallOptions chosen = options;
    if (options.getMaxOutboundMessageSize() == null) {
      chosen = chosen.withMaxOutboundMessageSize(ChannelFactory.MESSAGE_BYTES);
    }
    if (options.getMaxInboundMessageSize() == null) {
      chosen = chosen.withMaxInboundMessageSize(ChannelFactory.MESSAGE_BYTES);
    }
    // A deadline of the context holds for the call as well.
    boolean hasDeadline = options.getDeadline() != null || Context.current().getDeadline() != null;
    if (method.getType() == MethodType.UNARY && !hasDeadline) {
      chosen = chosen.withDeadlineAfter(deadline.toNanos(), TimeUnit.NANOSECONDS);
    }
    return next.newCall(method, chosen);
  }
}
