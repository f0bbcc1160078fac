package dev.fluo.kms;

import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.SecurityLevel;
import io.grpc.Status;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/** Shows a bearer token with each call that has no credentials of its own. */
final class TokenInterceptor extends CallCredentials implements ClientInterceptor {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final Pattern FORM = Pattern.compile("[\\x21-\\x7e]+");

  private final Supplier<String> token;

  TokenInterceptor(Supplier<String> token) {
    this.token = token;
  }

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    return next.newCall(method, options.getCredentials() == null ? options.withCallCredentials(this) : options);
  }

  @Override
  public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
    if (!isConfidential(call)) {
      applier.fail(
          Status.UNAUTHENTICATED.withDescription(
              "a token is not sent without TLS to another machine: give a channel that has TLS"));
      return;
    }
    // The function may block, as when it asks for a new token.
    executor.execute(() -> apply(applier));
  }

  /** True if nobody on the way reads what is sent: TLS, or a connection that does not leave this machine. */
  private static boolean isConfidential(RequestInfo call) {
    if (call.getSecurityLevel() == SecurityLevel.PRIVACY_AND_INTEGRITY) {
      return true;
    }
    SocketAddress peer = call.getTransportAttrs().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR);
    return peer instanceof InetSocketAddress inet && inet.getAddress() != null && inet.getAddress().isLoopbackAddress();
  }

  private void apply(MetadataApplier applier) {
    String shown;
    try {
      shown = token.get();
    } catch (Throwable e) {
      // An error that went past here would leave the call without an end.
      applier.fail(Status.UNAUTHENTICATED.withDescription("the token function failed").withCause(e));
      return;
    }
    // A message must not show what is wrong with a secret.
    if (shown == null || !FORM.matcher(shown).matches()) {
      applier.fail(
          Status.UNAUTHENTICATED.withDescription(
              "the token function gave nothing, or more than a token: give it without spaces and line feeds"));
      return;
    }
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + shown);
    applier.apply(headers);
  }
}
