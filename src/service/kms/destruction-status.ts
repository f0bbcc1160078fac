/** What Status says of keys that wait for their destruction. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { KeyVersionSchema } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import {
  type DestructionStatus,
  DestructionStatusSchema,
  WaitingDestructionSchema,
} from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { type DestructionWaits, mayBeMissingMs, type WaitingDestruction } from "../../keys/destruction/waits.ts";
import { keyPurposes } from "../messages.ts";

export function destructionStatus({ first, total, time }: DestructionWaits): DestructionStatus {
  const { noted, wallAt, second } = time;
  return create(DestructionStatusSchema, {
    total: BigInt(total),
    first: first.map(waiting),
    ...(noted && { witnessed: durationFromMs(noted.witnessedMs), witnessedAt: timestampFromDate(noted.wallAt) }),
    ...(second && {
      secondClock: second.name,
      clockAhead: durationFromMs(wallAt.getTime() - second.at.getTime()),
    }),
  });
}

function waiting(wait: WaitingDestruction) {
  const { record, unwitnessedMs } = wait;
  const { tenantId, purpose, keyId, version, destroyAt } = record;
  return create(WaitingDestructionSchema, {
    version: create(KeyVersionSchema, { tenantId, purpose: keyPurposes[purpose], keyId, version }),
    ...(destroyAt && { destroyAt: timestampFromDate(destroyAt) }),
    ...(unwitnessedMs !== undefined && { unwitnessed: durationFromMs(unwitnessedMs) }),
    why: reasonFor(wait),
  });
}

function reasonFor({ unwitnessedMs, isDueByClock }: WaitingDestruction): string {
  if (unwitnessedMs === undefined) return "an earlier version scheduled it: its days count from the next minute on";
  if (isDueByClock && unwitnessedMs <= mayBeMissingMs) return "it is due: within a minute or two";
  if (isDueByClock) return "it is due by the clock, and services have not seen its days pass";
  if (unwitnessedMs > 0) return "its time has not come";
  return "services have seen its days pass, and the clock has not come to its time: at most a day longer";
}
