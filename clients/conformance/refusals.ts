/** Refusals of the service, from its own tables: what a client's fake answers when a test sets one by name. */
import { pushbackOf, retryDelayMs } from "../../src/transport/error-status.ts";
import { KmsError, type KmsErrorCode, rpcCode } from "../../src/errors.ts";

export interface Refusal {
  /** Reason of the ErrorInfo. */
  reason: KmsErrorCode;
  /** gRPC status. */
  code: number;
  /** Delay of RetryInfo; absent if trying again is no use. */
  retryMs?: number;
  /** Value of the trailer `grpc-retry-pushback-ms`, if the status has it. */
  pushback?: string;
}

/** The service names a delay of its own for these. */
const ownDelayMs: Partial<Record<KmsErrorCode, number>> = { RATE_LIMITED: 1000 };

export const refusals: readonly Refusal[] = (Object.keys(rpcCode) as KmsErrorCode[]).map((reason) => {
  const retryMs = ownDelayMs[reason] ?? retryDelayMs[reason];
  const error = new KmsError(reason, reason, { ...(retryMs !== undefined && { retryAfterMs: retryMs }) });
  const pushback = pushbackOf(error)["grpc-retry-pushback-ms"];
  return {
    reason,
    code: rpcCode[reason],
    ...(retryMs !== undefined && { retryMs }),
    ...(pushback !== undefined && { pushback }),
  };
});
