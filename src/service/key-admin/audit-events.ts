/** ListAuditEvents and VerifyAudit: who did what, and whether the trail is whole. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type AuditEvent,
  AuditEventSchema,
  AuditHeadSchema,
  AuditProblemSchema,
  type ListAuditEventsRequest,
  type ListAuditEventsResponse,
  ListAuditEventsResponseSchema,
  type VerifyAuditRequest,
  type VerifyAuditResponse,
  VerifyAuditResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/audit_pb.ts";
import { KeyPurpose } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import type { AuditAsked, AuditReport } from "../../audit/verify-trail.ts";
import { invalidField } from "../../errors.ts";
import type { Turns } from "../../runtime/turns/one-at-a-time.ts";
import type { AuditRow } from "../../store/audit-store.ts";
import type { Store } from "../../store/store.ts";
import { type CallContext, tenantOrAll } from "../../call/context.ts";
import { roleOf } from "../../call/roles.ts";
import { checkKeyId } from "../../call/ids.ts";
import { keyPurposes } from "../messages.ts";
import { pageOf, pageSize, pageStart, pageToken } from "../page.ts";

export interface AuditParts {
  store: Pick<Store, "auditEvents">;
  /** Checks every row of every writer. */
  verifyAudit(asked: AuditAsked): Promise<AuditReport>;
  /** Have it run one at a time. */
  auditTurns: Turns;
}

const writerIdPattern = /^[0-9a-f]{32}$/;
/** More would not fit in an answer, nor tell anyone more. */
const maxProblems = 1000;

export function auditHandlers({ store, verifyAudit, auditTurns }: AuditParts) {
  return {
    async listAuditEvents(request: ListAuditEventsRequest, call: CallContext): Promise<ListAuditEventsResponse> {
      const tenantId = tenantOrAll(request.tenantId, call.caller, roleOf.listAuditEvents);
      const keyId = request.keyId === "" ? undefined : checkKeyId(request.keyId);
      const size = pageSize(request.pageSize);
      const listing = ["audit", request.tenantId, request.keyId];
      const after = pageStart(request.pageToken, listing, rowId);
      const found = await store.auditEvents({ tenantId, keyId, limit: size + 1, after });
      const { page, nextPageToken } = pageOf(found, size, ({ id }) => pageToken(listing, [id]));
      return create(ListAuditEventsResponseSchema, { events: page.map(toMessage), nextPageToken });
    },

    async verifyAudit({ headsAfter }: VerifyAuditRequest, call: CallContext): Promise<VerifyAuditResponse> {
      call.caller.every(roleOf.verifyAudit);
      if (headsAfter !== "" && !writerIdPattern.test(headsAfter)) {
        throw invalidField("heads_after", "must be the id of a writer, 32 lower-case hex digits");
      }
      const verify = () => verifyAudit({ headsAfter, signal: call.signal });
      const { events, heads, headsTotal, problems, problemCount } = await auditTurns.take(
        call.caller.name,
        call.signal,
        verify,
      );
      return create(VerifyAuditResponseSchema, {
        ok: problemCount === 0,
        events: BigInt(events),
        heads: heads.map(({ writerId, sequence, mac }) =>
          create(AuditHeadSchema, { writerId, sequence: BigInt(sequence), mac: Buffer.from(mac).toString("hex") }),
        ),
        problems: problems
          .slice(0, maxProblems)
          .map((problem) => create(AuditProblemSchema, { ...problem, sequence: BigInt(problem.sequence) })),
        problemCount: BigInt(problemCount),
        headsTotal: BigInt(headsTotal),
      });
    },
  };
}

function rowId([id, ...more]: readonly unknown[]): number | undefined {
  return typeof id === "number" && Number.isSafeInteger(id) && id >= 0 && more.length === 0 ? id : undefined;
}

function toMessage(row: AuditRow): AuditEvent {
  return create(AuditEventSchema, {
    writerId: row.writerId,
    sequence: BigInt(row.sequence),
    at: timestampFromDate(row.at),
    actor: row.actor,
    action: row.action,
    tenantId: row.tenantId,
    purpose: row.purpose ? keyPurposes[row.purpose] : KeyPurpose.UNSPECIFIED,
    keyId: row.keyId,
    outcome: row.outcome,
    requestId: row.requestId,
    count: BigInt(row.count),
    rule: row.rule ?? "",
    names: BigInt(row.names ?? 0),
    ...(row.firstAt && { firstAt: timestampFromDate(row.firstAt) }),
    detail: row.detail ?? "",
  });
}
