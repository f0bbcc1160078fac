/** The service as a client sees it, over whichever transport. */
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { KeyAdminService, KmsService, LogService } from "./messages.ts";

/**
 * The calls of KmsService, with those of the other services beside them. A call takes a message, or the object that makes one, and
 * `CallOptions` with a `timeoutMs` of its own, a `signal`, and headers. It rejects with a ConnectError, whose `code` is the gRPC status.
 */
export interface Kms extends Client<typeof KmsService> {
  /** Keys and their states, the audit trail. */
  readonly admin: Client<typeof KeyAdminService>;
  /** Checkpoints and proofs of the tenants' logs. */
  readonly log: Client<typeof LogService>;
}

/** The deadline of a unary call that has none of its own. */
export const defaultTimeoutMs = 10_000;

/** The largest message, in bytes, that the service takes, and that is taken from it. */
export const maxMessageBytes = 4 * 1024 * 1024;

/** The service over a transport of the caller's own, such as one of `@connectrpc/connect-node`. */
export function kmsOver(transport: Transport): Kms {
  return {
    ...createClient(KmsService, transport),
    admin: createClient(KeyAdminService, transport),
    log: createClient(LogService, transport),
  };
}
