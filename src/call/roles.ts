/** What callers may be allowed to do: a closed set of roles, none of which includes another, and the one that each rpc needs. */
import type { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import type { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import type { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";

export const roles = [
  "sign",
  "verify",
  "encrypt",
  "re-encrypt",
  "decrypt",
  "generate-data-key",
  "decrypt-data-key",
  "status",
  "metrics",
  "operate",
  "audit",
  "key-admin",
  "mark-compromised",
  "destroy",
  // Nothing alone; with `decrypt`, `decrypt-data-key` or `re-encrypt`, what a COMPROMISED key encrypted.
  "break-glass",
] as const;

export type Role = (typeof roles)[number];

type Rpc = keyof typeof KmsService.method | keyof typeof KeyAdminService.method | keyof typeof LogService.method;

/** The role that a caller of each rpc needs, for the tenant that the request names, or for all tenants where it names none. */
export const roleOf = Object.freeze({
  generateDataKey: "generate-data-key",
  decryptDataKey: "decrypt-data-key",
  encryptPii: "encrypt",
  decryptPii: "decrypt",
  reEncryptPii: "re-encrypt",
  signSpan: "sign",
  signSpans: "sign",
  verifySpan: "verify",
  getPublicKeys: "verify",
  getCheckpoint: "verify",
  getInclusionProof: "verify",
  getConsistencyProof: "verify",
  rotate: "operate",
  validate: "operate",
  status: "status",
  listKeys: "status",
  disableKey: "key-admin",
  enableKey: "key-admin",
  cancelKeyDestruction: "key-admin",
  rewrapKeys: "key-admin",
  acceptRollback: "key-admin",
  markKeyCompromised: "mark-compromised",
  scheduleKeyDestruction: "destroy",
  listAuditEvents: "audit",
  verifyAudit: "audit",
} as const satisfies Record<Rpc, Role>);

/** The roles for all tenants that paths of HTTP beside the rpcs need. */
export const roleOfPath = Object.freeze({ metrics: "metrics", healthDetails: "status" } as const satisfies Record<
  string,
  Role
>);
