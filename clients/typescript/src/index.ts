/** Client of fluo-kms: calls by Connect, in browsers and elsewhere, and what they take. gRPC, spans and files are in `@fluo/kms/node`. */
export { type ConnectOptions, createKms } from "./connect.ts";
export { detailsOf, type ErrorDetails } from "./error-details.ts";
export { type Kms, kmsOver } from "./kms.ts";
export { listAuditEvents, listKeys, listPublicKeys } from "./paging.ts";
export {
  decryptRecord,
  encryptRecord,
  type PiiNames,
  type PiiValue,
  RecordError,
  type RecordOptions,
} from "./records.ts";
export type { TokenSource } from "./token.ts";
export { verifyResourceSpans, verifySpan } from "./verify-message.ts";
