/** What to do about a store or a provider that does not open, in words that follow the reason. */
import type { KmsError } from "../errors.ts";

const byReason: Readonly<Record<string, string>> = {
  ECONNREFUSED: "see that the server of fluo.kms.postgres.url runs and listens there",
  ENOTFOUND: "see that the host in fluo.kms.postgres.url is right",
  "no answer": "see that the server of fluo.kms.postgres.url runs and can be reached from here",
  ETIMEDOUT: "see that the server of fluo.kms.postgres.url can be reached from here",
  "28P01": "see that user and password in fluo.kms.postgres.url are right",
  "28000": "see that the server lets the user of fluo.kms.postgres.url in",
  "3D000": "make the database that fluo.kms.postgres.url names",
  "42501": "give the user of fluo.kms.postgres.url the right to the tables",
  "53300": "the server has no connection left: raise its max_connections, or lower fluo.kms.postgres.max-connections",
};

/** One line. Never the URL. */
export function storeFailure(error: KmsError): string {
  const [, reason] = /^the PostgreSQL store failed \(([^,]*).*\)$/.exec(error.message) ?? [];
  const advice = reason === undefined ? error.advice : byReason[reason];
  return advice === undefined ? error.message : `${error.message}: ${advice}`;
}
