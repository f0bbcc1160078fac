/** What stands between this service and Cloud KMS or a source of tokens: no connection, no TLS, no whole answer. All of it may pass. */
import { KmsError } from "../errors.ts";

const certificateCodes =
  /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_CA|ERR_SSL_)/;

export function unreachable(cause: unknown, what = "provider gcp"): KmsError {
  if (cause instanceof KmsError) return cause;
  const code = codeOf(cause);
  if (certificateCodes.test(code)) {
    return new KmsError("PROVIDER_UNAVAILABLE", `${what} cannot be reached by TLS (${code})`, {
      cause,
      advice: `A proxy or private endpoint shows a certificate that is not trusted here (${code}): give the PEM file of its authority in NODE_EXTRA_CA_CERTS, and in gcp.kms.endpoint a name that the certificate holds.`,
    });
  }
  return new KmsError("PROVIDER_UNAVAILABLE", `${what} did not answer${code === "" ? "" : ` (${code})`}`, { cause });
}

/** Of the error, or of what it was made from; "" for none. */
export function codeOf(error: unknown): string {
  for (let at = error, depth = 0; typeof at === "object" && at !== null && depth < 5; depth += 1) {
    const { code, cause } = at as { code?: unknown; cause?: unknown };
    if (typeof code === "string" && /^[A-Z][A-Z0-9_]+$/.test(code)) return code;
    at = cause;
  }
  return "";
}
