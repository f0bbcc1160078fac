/** What stands between this service and a server of a provider's: no connection, no TLS, no whole answer. All of it may pass. */
import { KmsError } from "../errors.ts";

export interface Server {
  /** As in `provider gcp`. */
  who: string;
  /** What an operator can do about a certificate that is not trusted here, by OpenSSL's code. */
  trustCertificate(code: string): string;
}

export function unreachable(cause: unknown, { who, trustCertificate }: Server): KmsError {
  if (cause instanceof KmsError) return cause;
  const code = codeOf(cause);
  if (isOfCertificate(code)) {
    const advice = trustCertificate(code);
    return new KmsError("PROVIDER_UNAVAILABLE", `${who} cannot be reached by TLS (${code})`, { cause, advice });
  }
  return new KmsError("PROVIDER_UNAVAILABLE", `${who} did not answer${code === "" ? "" : ` (${code})`}`, { cause });
}

const certificateCodes =
  /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_CA|ERR_SSL_)/;

export function isOfCertificate(code: string): boolean {
  return certificateCodes.test(code);
}

/** The code of the error, or of an error that it was made from; "" if there is none. */
export function codeOf(error: unknown): string {
  for (let at = error, depth = 0; typeof at === "object" && at !== null && depth < 5; depth += 1) {
    const { code, cause } = at as { code?: unknown; cause?: unknown };
    if (typeof code === "string" && /^[A-Z][A-Z0-9_]+$/.test(code)) return code;
    at = cause;
  }
  return "";
}
