package dev.fluo.kms;

import dev.fluo.kms.v1.DecryptDataKeyRequest;
import dev.fluo.kms.v1.DecryptDataKeyResponse;
import dev.fluo.kms.v1.DecryptPiiRequest;
import dev.fluo.kms.v1.DecryptPiiResponse;
import dev.fluo.kms.v1.EncryptPiiRequest;
import dev.fluo.kms.v1.EncryptPiiResponse;
import dev.fluo.kms.v1.GenerateDataKeyRequest;
import dev.fluo.kms.v1.GenerateDataKeyResponse;
import dev.fluo.kms.v1.ReEncryptPiiRequest;
import dev.fluo.kms.v1.ReEncryptPiiResponse;
import dev.fluo.kms.v1.SignSpanRequest;
import dev.fluo.kms.v1.SignSpanResponse;
import dev.fluo.kms.v1.VerifySpanRequest;
import dev.fluo.kms.v1.VerifySpanResponse;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;

/**
 * The calls by which a program protects its data: what to depend on, and to replace in a unit test. {@link KmsClient} makes
 * them of a service. {@link PiiRecords} and {@link SealedFiles} take any implementation.
 *
 * <p>Calls block, and fail with {@link StatusRuntimeException}: see {@link ErrorDetails#of}. A call that an implementation
 * leaves out fails with UNIMPLEMENTED, so that one for a test has those alone that the test makes:
 *
 * <pre>{@code
 * Kms overloaded =
 *     new Kms() {
 *       @Override
 *       public EncryptPiiResponse encryptPii(EncryptPiiRequest request) {
 *         throw Status.RESOURCE_EXHAUSTED.asRuntimeException();
 *       }
 *     };
 * }</pre>
 *
 * <p>A test that needs tokens which open, or signatures which verify, uses {@link dev.fluo.kms.testing.FakeKms} instead.
 * Calls may be added to this interface.
 */
public interface Kms {
  /** Makes a data key, in clear and as the blob that gives it again. */
  default GenerateDataKeyResponse generateDataKey(GenerateDataKeyRequest request) {
    throw unimplemented("GenerateDataKey");
  }

  /** Gives a data key again by its blob. */
  default DecryptDataKeyResponse decryptDataKey(DecryptDataKeyRequest request) {
    throw unimplemented("DecryptDataKey");
  }

  /** Encrypts personal data into tokens, at most 1,000 fields. */
  default EncryptPiiResponse encryptPii(EncryptPiiRequest request) {
    throw unimplemented("EncryptPii");
  }

  /** Decrypts tokens. One that does not open is an error of its field, and no failure of the call. */
  default DecryptPiiResponse decryptPii(DecryptPiiRequest request) {
    throw unimplemented("DecryptPii");
  }

  /** Encrypts tokens under the key that is active now, without giving their values. */
  default ReEncryptPiiResponse reEncryptPii(ReEncryptPiiRequest request) {
    throw unimplemented("ReEncryptPii");
  }

  /** Signs one span, without a log. */
  default SignSpanResponse signSpan(SignSpanRequest request) {
    throw unimplemented("SignSpan");
  }

  /** Verifies one span. */
  default VerifySpanResponse verifySpan(VerifySpanRequest request) {
    throw unimplemented("VerifySpan");
  }

  private static StatusRuntimeException unimplemented(String call) {
    return Status.UNIMPLEMENTED.withDescription("this implementation has no " + call).asRuntimeException();
  }
}
