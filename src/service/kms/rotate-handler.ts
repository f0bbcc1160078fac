/** Rotate: a new version of a tenant's keys, or of all that are due. */
import { create } from "@bufbuild/protobuf";
import { KeyVersionSchema } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import {
  FailedRotationSchema,
  RotatedKeySchema,
  type RotateRequest,
  type RotateResponse,
  RotateResponseSchema,
  SkippedKeySchema,
} from "../../../gen/ts/fluo/kms/v1/rotation_pb.ts";
import { invalidField } from "../../errors.ts";
import type { Purpose } from "../../store/key-record.ts";
import type { Rotation, RotationResult } from "../../keys/rotation/rotation.ts";
import { type CallContext, tenantOrAll } from "../../call/context.ts";
import { roleOf } from "../../call/roles.ts";
import { checkRequestId } from "../../call/ids.ts";
import { itemError, keyPurposes, purposesOf } from "../messages.ts";

export interface RotateParts {
  rotation: Rotation;
}

const defaultLimit = 100;
export const maxLimit = 1000;

export function rotateHandlers({ rotation }: RotateParts) {
  return {
    async rotate(request: RotateRequest, call: CallContext): Promise<RotateResponse> {
      const tenantId = tenantOrAll(request.tenantId, call.caller, roleOf.rotate);
      const { force, dryRun, requestId } = request;
      const by = { actor: call.caller.name, requestId, rule: call.caller.rule(roleOf.rotate, tenantId) };
      const purposes = purposesOf(request.purpose);
      checkRequest(request);
      const result =
        tenantId === undefined
          ? await rotation.rotateDue(
              { ...onePurpose(purposes), force, dryRun, by, limit: request.limit || defaultLimit },
              call.signal,
            )
          : await rotation.rotate(
              {
                tenantId,
                purposes,
                force,
                dryRun,
                by,
                ...(requestId && { requestId }),
              },
              call.signal,
            );
      return toMessage(result, dryRun);
    },
  };
}

function onePurpose(purposes: readonly Purpose[]): { purpose?: Purpose } {
  return purposes.length === 1 ? { purpose: purposes[0]! } : {};
}

function checkRequest({ tenantId, requestId, limit }: RotateRequest): void {
  checkRequestId(requestId);
  if (requestId !== "" && tenantId === "")
    throw invalidField("request_id", "needs a tenant_id: due keys rotate once anyway");
  if (limit > maxLimit) throw invalidField("limit", `is at most ${maxLimit}`);
}

function toMessage(result: RotationResult, dryRun: boolean): RotateResponse {
  return create(RotateResponseSchema, {
    rotated: result.rotated.map((key) =>
      create(RotatedKeySchema, { key: version(key), retiredKeyId: key.retiredKeyId ?? "" }),
    ),
    skipped: result.skipped.map((key) => create(SkippedKeySchema, { key: version(key), reason: key.reason })),
    failed: result.failed.map(({ tenantId, purpose, error }) =>
      create(FailedRotationSchema, { tenantId, purpose: keyPurposes[purpose], error: itemError(error, "") }),
    ),
    remaining: BigInt(result.remaining),
    dryRun,
  });
}

function version(key: { tenantId: string; purpose: Purpose; keyId: string | undefined; version: number }) {
  const { tenantId, purpose, keyId = "", version } = key;
  return create(KeyVersionSchema, { tenantId, purpose: keyPurposes[purpose], keyId, version });
}
