/** Parts of messages that several services share, between our words and the API's. */
import { create } from "@bufbuild/protobuf";
import { type ItemError, ItemErrorSchema } from "../../gen/ts/fluo/kms/v1/item_error_pb.ts";
import { KeyPurpose, KeyState as KeyStateEnum } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { type LogHead, LogHeadSchema } from "../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import { invalidField, KmsError, rpcCode } from "../errors.ts";
import { type KeyState, type Purpose, purposes } from "../store/key-record.ts";
import type { LogCompromise } from "../store/log-store.ts";

export const keyStates: Readonly<Record<KeyState, KeyStateEnum>> = {
  PENDING: KeyStateEnum.PENDING,
  ACTIVE: KeyStateEnum.ACTIVE,
  RETIRED: KeyStateEnum.RETIRED,
  DISABLED: KeyStateEnum.DISABLED,
  COMPROMISED: KeyStateEnum.COMPROMISED,
  DESTROY_SCHEDULED: KeyStateEnum.DESTROY_SCHEDULED,
  DESTROYED: KeyStateEnum.DESTROYED,
};

export const keyPurposes: Readonly<Record<Purpose, KeyPurpose>> = {
  data: KeyPurpose.DATA,
  signing: KeyPurpose.SIGNING,
};

/** The purposes that a request means; unspecified means all. */
export function purposesOf(purpose: KeyPurpose): readonly Purpose[] {
  if (purpose === KeyPurpose.UNSPECIFIED) return purposes;
  const named = purposes.filter((candidate) => keyPurposes[candidate] === purpose);
  if (named.length === 0) throw invalidField("purpose", "is not a known KeyPurpose");
  return named;
}

/** The state that a request means; unspecified means any. */
export function stateOf(state: KeyStateEnum): KeyState | undefined {
  if (state === KeyStateEnum.UNSPECIFIED) return undefined;
  const names = Object.keys(keyStates) as KeyState[];
  const name = names.find((candidate) => keyStates[candidate] === state);
  if (name === undefined) throw invalidField("state", "is not a known KeyState");
  return name;
}

/** How far a log goes. */
export function headMessage({ number, origin, size, root }: Omit<LogCompromise, "tenantId" | "keyId">): LogHead {
  return create(LogHeadSchema, { log: number, origin, size: BigInt(size), root });
}

/** An item's error. What is not a KmsError is a bug and is thrown on, so that the whole call reports it. */
export function itemError(error: unknown, field: string): ItemError {
  if (!(error instanceof KmsError) || error.code === "INTERNAL") throw error;
  return create(ItemErrorSchema, { code: rpcCode[error.code], field, message: error.message });
}
