package dev.fluo.kms.testing;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.WireFormat;
import dev.fluo.kms.v1.LogProof;
import dev.fluo.kms.v1.SignedStatement;
import dev.fluo.kms.v1.VerifySpanRequest;
import dev.fluo.kms.verify.Evidence;
import java.io.IOException;

/**
 * A request of SignSpan or VerifySpan, whose span stays as it was sent: what a decoder merges or passes over must be seen
 * to be refused.
 */
final class SpanRequest {
  private static final byte[] NONE = new byte[0];

  private String tenant = "";
  private byte[] span;
  private byte[] resource = NONE;
  private byte[] scope = NONE;
  private Evidence evidence;

  private SpanRequest() {}

  /** Throws INVALID_ARGUMENT for a request that cannot be read, or has no span. */
  static SpanRequest read(byte[] request) {
    SpanRequest read = new SpanRequest();
    try {
      read.fields(CodedInputStream.newInstance(request));
    } catch (IOException e) {
      throw Refusal.invalidField("request", "cannot be read; encode it as the proto says");
    }
    if (read.span == null) {
      throw Refusal.invalidField("span", "is missing; give the span");
    }
    return read;
  }

  private void fields(CodedInputStream in) throws IOException {
    int seen = 0;
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      int number = WireFormat.getTagFieldNumber(tag);
      if (number > VerifySpanRequest.LOG_PROOF_FIELD_NUMBER
          || WireFormat.getTagWireType(tag) != WireFormat.WIRETYPE_LENGTH_DELIMITED) {
        throw Refusal.invalidField("request", "field number " + number + " is unknown; leave it out");
      }
      if ((seen & 1 << number) != 0) {
        throw Refusal.invalidField(
            VerifySpanRequest.getDescriptor().findFieldByNumber(number).getName(),
            "is there twice, and parsers differ on which counts; send it once");
      }
      seen |= 1 << number;
      if (number == VerifySpanRequest.TENANT_ID_FIELD_NUMBER) {
        tenant = in.readStringRequireUtf8();
      } else {
        take(number, in.readByteArray());
      }
    }
  }

  private void take(int number, byte[] part) throws InvalidProtocolBufferException {
    switch (number) {
      case VerifySpanRequest.SPAN_FIELD_NUMBER -> span = part;
      case VerifySpanRequest.RESOURCE_FIELD_NUMBER -> resource = part;
      case VerifySpanRequest.SCOPE_FIELD_NUMBER -> scope = part;
      case VerifySpanRequest.SIGNED_STATEMENT_FIELD_NUMBER -> {
        SignedStatement signed = SignedStatement.parseFrom(part);
        evidence =
            new Evidence.SignedStatement(signed.getStatement().toByteArray(), signed.getSignature().toByteArray());
      }
      default -> {
        LogProof proof = LogProof.parseFrom(part);
        evidence = new Evidence.LogProof(proof.getStatement().toByteArray(), proof.getProof());
      }
    }
  }

  String tenant() {
    return tenant;
  }

  byte[] span() {
    return span;
  }

  byte[] resource() {
    return resource;
  }

  byte[] scope() {
    return scope;
  }

  /** Returns null where the attributes on the span are the evidence. */
  Evidence evidence() {
    return evidence;
  }
}
