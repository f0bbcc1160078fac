/** What an operator can do about a PostgreSQL server that cannot be used, by the code of its error or of the system's. */

const byCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: "see that the server of fluo.kms.postgres.url runs and listens there",
  ENOTFOUND: "see that the host in fluo.kms.postgres.url is right",
  ETIMEDOUT: "see that the server of fluo.kms.postgres.url can be reached from here",
  "28P01": "see that user and password in fluo.kms.postgres.url are right",
  "28000": "see that the server lets the user of fluo.kms.postgres.url in",
  "3D000": "make the database that fluo.kms.postgres.url names",
  "42501": "give the user of fluo.kms.postgres.url the right to the tables",
  "53300": "the server has no connection left: raise its max_connections, or lower fluo.kms.postgres.max-connections",
};

/** An error without a code is the driver's own: there was no answer in time, or the connection ended. */
export function adviceOn(code: string | undefined): string | undefined {
  if (code === undefined) return "see that the server of fluo.kms.postgres.url runs and can be reached from here";
  return byCode[code];
}
