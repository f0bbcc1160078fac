/** What an operator can do about a PostgreSQL server that cannot be used, by the code of its error or of the system's. */

/** Advice for a server that only reads. */
export const leadToPrimary = "let fluo.kms.postgres.url lead to the server that is written to";

const byCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: "see that the server of fluo.kms.postgres.url runs and listens there",
  ENOTFOUND: "see that the host in fluo.kms.postgres.url is right",
  ETIMEDOUT: "see that the server of fluo.kms.postgres.url can be reached from here",
  "28P01":
    "see that the user in fluo.kms.postgres.url and the password, there or in fluo.kms.postgres.password-file, are right",
  "28000": "see that the server lets the user of fluo.kms.postgres.url in",
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another name than the host in fluo.kms.postgres.url",
  CERT_HAS_EXPIRED: "the server's certificate has ended: renew it",
  ...Object.fromEntries(
    [
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "UNABLE_TO_GET_ISSUER_CERT",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "CERT_SIGNATURE_FAILURE",
    ].map((code) => [code, "set fluo.kms.postgres.ca to the authority that the server's certificate is by"]),
  ),
  "3D000": "make the database that fluo.kms.postgres.url names",
  "0A000": leadToPrimary,
  "25006": leadToPrimary,
  "3F000": "give the user of fluo.kms.postgres.url the right to the schema of the tables: grant usage on schema public",
  "42501": "give the user of fluo.kms.postgres.url the right to the tables",
  "53300": "the server has no connection left: raise its max_connections, or lower fluo.kms.postgres.max-connections",
};

/** An error without a code is the driver's own: there was no answer in time, or the connection ended. */
export function adviceOn(code: string | undefined): string | undefined {
  if (code === undefined) return "see that the server of fluo.kms.postgres.url runs and can be reached from here";
  return byCode[code];
}
