package dev.fluo.kms.testing;

import io.grpc.HandlerRegistry;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCall;
import io.grpc.ServerMethodDefinition;

/** Refuses the calls that the fake leaves out, and says where to test them. */
final class LeftOut extends HandlerRegistry {
  @Override
  public ServerMethodDefinition<?, ?> lookupMethod(String name, String authority) {
    MethodDescriptor<byte[], byte[]> method =
        MethodDescriptor.newBuilder(new BytesMarshaller(), new BytesMarshaller())
            .setType(MethodDescriptor.MethodType.UNKNOWN)
            .setFullMethodName(name)
            .build();
    Refusal refusal =
        Refusal.of(
            "UNIMPLEMENTED",
            "the fake has no "
                + name
                + ": it has no log and no administration; test it against the real service, which npm start starts");
    return ServerMethodDefinition.create(
        method,
        (call, headers) -> {
          var refused = refusal.asException();
          call.close(refused.getStatus(), refused.getTrailers());
          return new ServerCall.Listener<>() {};
        });
  }
}
