/** What the service was asked and what it acknowledged, as its callers remember it. Times are monotonic milliseconds of the harness. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SignedSpan } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Span, SpanSchema } from "../../gen/ts/fluo/kms/v1/span_pb.ts";

export type Purpose = "data" | "signing";

export type State = "ACTIVE" | "RETIRED" | "DISABLED" | "COMPROMISED" | "DESTROY_SCHEDULED" | "DESTROYED";

/** As the audit trail spells it. */
export type Change =
  | "rotate"
  | "disable"
  | "enable"
  | "mark_compromised"
  | "schedule_destruction"
  | "cancel_destruction";

export interface Asked {
  tenantId: string;
  begunAt: number;
  /** Undefined while the outcome is not known: the answer is not there yet, or was lost. */
  endedAt: number | undefined;
}

/** A change of a key that was asked for. */
export interface Operation extends Asked {
  requestId: string;
  change: Change;
  /** Of the key; of a Rotate undefined for both. */
  purpose: Purpose | undefined;
  /** Empty for Rotate. */
  keyId: string;
  outcome: "unknown" | "acknowledged" | "refused" | "lost race";
  /** What the answer says became of keys. */
  answer: AnsweredKey[];
}

export interface AnsweredKey {
  purpose: Purpose;
  keyId: string;
  state: State;
  version: number;
}

/** Something that was made with a key and acknowledged. */
export type Use = Asked & { purpose: Purpose; keyId: string } & (
    | { kind: "token"; name: string; token: string; value: Uint8Array; context: Record<string, string> }
    | { kind: "data key"; blob: Uint8Array; plaintext: Uint8Array; context: Record<string, string> }
    | {
        kind: "signature";
        span: MessageInitShape<typeof SpanSchema>;
        /** As on the span, or beside it. */
        signed: { statement: Uint8Array; signature: Uint8Array };
      }
  );

/** A use that was refused because of the state of a key: of `keyId`, or because none is ACTIVE. */
export interface Refusal extends Asked {
  purpose: Purpose;
  keyId: string | undefined;
}

/** A batch of spans for the tenant's log. */
export interface LoggedBatch extends Asked {
  requestId: string;
  spans: readonly Span[];
  /** Once all of it is there. */
  answer: { signed: readonly SignedSpan[]; checkpoint: string } | undefined;
}

export interface Ledger {
  operations: Operation[];
  uses: Use[];
  refusals: Refusal[];
  batches: LoggedBatch[];
}

export function emptyLedger(): Ledger {
  return { operations: [], uses: [], refusals: [], batches: [] };
}
