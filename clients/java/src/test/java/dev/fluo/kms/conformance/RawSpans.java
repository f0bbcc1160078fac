package dev.fluo.kms.conformance;

import com.google.protobuf.CodedOutputStream;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.v1.KmsServiceGrpc;
import dev.fluo.kms.v1.SignSpanRequest;
import dev.fluo.kms.v1.SignSpanResponse;
import io.grpc.CallOptions;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/** SignSpan of a span's bytes as they are: a message would merge what is there twice. */
final class RawSpans implements MethodDescriptor.Marshaller<byte[]> {
  private static final MethodDescriptor<byte[], SignSpanResponse> SIGN_SPAN =
      KmsServiceGrpc.getSignSpanMethod()
          .toBuilder(new RawSpans(), KmsServiceGrpc.getSignSpanMethod().getResponseMarshaller())
          .build();

  private RawSpans() {}

  static SignSpanResponse sign(KmsClient kms, String tenant, byte[] span) {
    ByteArrayOutputStream request = new ByteArrayOutputStream();
    try {
      CodedOutputStream out = CodedOutputStream.newInstance(request);
      out.writeString(SignSpanRequest.TENANT_ID_FIELD_NUMBER, tenant);
      out.writeByteArray(SignSpanRequest.SPAN_FIELD_NUMBER, span);
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return ClientCalls.blockingUnaryCall(kms.channel(), SIGN_SPAN, CallOptions.DEFAULT, request.toByteArray());
  }

  @Override
  public InputStream stream(byte[] request) {
    return new ByteArrayInputStream(request);
  }

  @Override
  public byte[] parse(InputStream request) {
    throw new UnsupportedOperationException("requests alone are sent so");
  }
}
