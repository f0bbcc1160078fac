/** AcceptRollback: the finding of this replica that the store was put back, by its digest. */
import { create } from "@bufbuild/protobuf";
import {
  type AcceptRollbackRequest,
  type AcceptRollbackResponse,
  AcceptRollbackResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/rollback_pb.ts";
import { invalidField } from "../../errors.ts";
import type { Attribution } from "../../store/audit-store.ts";
import type { CallContext } from "../../call/context.ts";
import { checkRequestId } from "../../call/ids.ts";
import { roleOf } from "../../call/roles.ts";

export interface AcceptRollbackParts {
  heads: { accept(digest: string, by: Attribution): Promise<void> };
}

const digestPattern = /^[0-9a-f]{64}$/;

export function acceptRollbackHandlers({ heads }: AcceptRollbackParts) {
  return {
    async acceptRollback(request: AcceptRollbackRequest, { caller }: CallContext): Promise<AcceptRollbackResponse> {
      caller.every(roleOf.acceptRollback);
      const { digest } = request;
      if (!digestPattern.test(digest))
        throw invalidField("digest", "must be 64 lower-case hex digits, as Status has them");
      const requestId = checkRequestId(request.requestId);
      await heads.accept(digest, { actor: caller.name, requestId, rule: caller.rule(roleOf.acceptRollback) });
      return create(AcceptRollbackResponseSchema);
    },
  };
}
