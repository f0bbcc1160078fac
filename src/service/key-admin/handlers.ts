/** The handlers of fluo.kms.v1.KeyAdminService: keys through their states, their provider keys (rewrap-handler.ts), the audit trail (audit-events.ts), and a store that was put back. */
import { create, type DescMethodUnary, type MessageShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  CancelKeyDestructionResponseSchema,
  DisableKeyResponseSchema,
  EnableKeyResponseSchema,
  type Key,
  KeySchema,
  ListKeysResponseSchema,
  MarkKeyCompromisedResponseSchema,
  ScheduleKeyDestructionResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import type { KeyAdminService } from "../../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KeyVersionSchema } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import type { Named } from "../../audit/observer.ts";
import { hasCode, invalidField } from "../../errors.ts";
import { destructionDays, unwitnessedMs } from "../../keys/destruction/waits.ts";
import { type KeyRecord, purposes } from "../../store/key-record.ts";
import type { Attribution } from "../../store/audit-store.ts";
import type { Store } from "../../store/store.ts";
import type { MaybePromise } from "../../call/maybe-promise.ts";
import { type Role, roleOf } from "../../call/roles.ts";
import { type AuditParts, auditHandlers } from "./audit-events.ts";
import { type CallContext, tenantOrAll } from "../../call/context.ts";
import { checkKeyId, checkRequestId, tenantIdPattern } from "../../call/ids.ts";
import { keyPurposes, keyStates, purposesOf, stateOf } from "../messages.ts";
import type { Methods } from "../method.ts";
import { pageOf, pageSize, pageStart, pageToken } from "../page.ts";
import { acceptRollbackHandlers, type AcceptRollbackParts } from "./accept-rollback-handler.ts";
import { type RewrapParts, rewrapHandlers } from "./rewrap-handler.ts";

type Rpcs = typeof KeyAdminService.method;

export type KeyAdminHandlers = {
  [Name in keyof Rpcs]: Rpcs[Name] extends DescMethodUnary<infer Input, infer Output>
    ? (request: MessageShape<Input>, context: CallContext) => MaybePromise<MessageShape<Output>>
    : never;
};

const named = (request: Named) => request;

/** The store writes of each change in the trail; here it is said who looked and who was refused. */
export const keyAdminMethods: Methods<KeyAdminHandlers> = {
  listKeys: { audit: { action: "list_keys", kind: "look", named } },
  disableKey: { audit: { action: "disable", kind: "change", named } },
  enableKey: { audit: { action: "enable", kind: "change", named } },
  markKeyCompromised: { audit: { action: "mark_compromised", kind: "change", named } },
  scheduleKeyDestruction: { audit: { action: "schedule_destruction", kind: "change", named } },
  cancelKeyDestruction: { audit: { action: "cancel_destruction", kind: "change", named } },
  rewrapKeys: { audit: { action: "rewrap", kind: "change", named: () => ({}) } },
  listAuditEvents: { audit: { action: "list_audit_events", kind: "look", named } },
  verifyAudit: { audit: { action: "verify_audit", kind: "look", named: () => ({}) } },
  acceptRollback: { audit: { action: "accept_rollback", kind: "change", named: () => ({}) } },
};

export type KeyAdminParts = AuditParts &
  AcceptRollbackParts &
  RewrapParts & {
    lifecycle: KeyLifecycle;
    store: Pick<Store, "listKeys" | "witnessedTime">;
  };

/** What changes a key's state. Each throws NOT_FOUND, KEY_UNUSABLE or CONFLICT, and answers a key that is in the wished state as it is. */
export interface KeyLifecycle {
  disable(change: KeyChange): Promise<KeyRecord>;
  enable(change: KeyChange): Promise<KeyRecord>;
  markCompromised(
    change: KeyChange,
    signal?: AbortSignal,
  ): Promise<{ record: KeyRecord; replacement: KeyRecord | undefined }>;
  scheduleDestruction(
    change: KeyChange & { days: number; orAsRequested: boolean; token: string | undefined },
  ): Promise<KeyRecord>;
  cancelDestruction(change: KeyChange): Promise<KeyRecord>;
}

export interface KeyChange {
  tenantId: string;
  keyId: string;
  by: Attribution;
}

type KeyPlace = Pick<KeyRecord, "tenantId" | "purpose" | "version">;

export function keyAdminHandlers(parts: KeyAdminParts): KeyAdminHandlers {
  const { lifecycle, store } = parts;
  const witnessed = () => witnessedMsIn(store);
  return {
    ...auditHandlers(parts),
    ...rewrapHandlers(parts),
    ...acceptRollbackHandlers(parts),

    async listKeys(request, { caller }) {
      const tenantId = tenantOrAll(request.tenantId, caller, roleOf.listKeys);
      const named = purposesOf(request.purpose);
      const purpose = named.length === 1 ? named[0] : undefined;
      const state = stateOf(request.state);
      if (state === "PENDING") throw invalidField("state", "PENDING keys are never listed");
      const size = pageSize(request.pageSize);
      const listing = ["keys", request.tenantId, request.purpose, request.state];
      const after = pageStart(request.pageToken, listing, keyPlace);
      const found = await store.listKeys({ tenantId, purpose, state, limit: size + 1, after });
      const { page, nextPageToken } = pageOf(found, size, (last) =>
        pageToken(listing, [last.tenantId, last.purpose, last.version]),
      );
      const witnessedMs = page.some(isScheduled) ? await witnessed() : undefined;
      return create(ListKeysResponseSchema, { keys: page.map((key) => toMessage(key, witnessedMs)), nextPageToken });
    },

    async disableKey(request, call) {
      const record = await lifecycle.disable(changeOf(request, call, roleOf.disableKey));
      return create(DisableKeyResponseSchema, { key: toMessage(record) });
    },

    async enableKey(request, call) {
      const record = await lifecycle.enable(changeOf(request, call, roleOf.enableKey));
      return create(EnableKeyResponseSchema, { key: toMessage(record) });
    },

    async markKeyCompromised(request, call) {
      const change = changeOf(request, call, roleOf.markKeyCompromised);
      const { record, replacement } = await lifecycle.markCompromised(change, call.signal);
      return create(MarkKeyCompromisedResponseSchema, {
        key: toMessage(record),
        ...(replacement && { replacement: toMessage(replacement) }),
      });
    },

    async scheduleKeyDestruction(request, call) {
      const change = changeOf(request, call, roleOf.scheduleKeyDestruction);
      const { least, most } = destructionDays;
      const days = request.days || most;
      if (days < least || days > most) throw invalidField("days", `is ${least} to ${most}; 0 means ${most}`);
      const token = call.caller.credential?.tokenSha256;
      const record = await lifecycle.scheduleDestruction({ ...change, token, days, orAsRequested: request.days === 0 });
      const witnessedMs = isScheduled(record) ? await witnessed() : undefined;
      return create(ScheduleKeyDestructionResponseSchema, { key: toMessage(record, witnessedMs) });
    },

    async cancelKeyDestruction(request, call) {
      const record = await lifecycle.cancelDestruction(changeOf(request, call, roleOf.cancelKeyDestruction));
      return create(CancelKeyDestructionResponseSchema, { key: toMessage(record) });
    },
  };
}

interface ChangeRequest {
  tenantId: string;
  keyId: string;
  requestId: string;
}

/** What a request asks to be done to which key, by a caller who may ask. */
function changeOf(request: ChangeRequest, { caller }: CallContext, role: Role): KeyChange {
  const tenantId = caller.authorize(request.tenantId, role);
  const keyId = checkKeyId(request.keyId);
  const requestId = checkRequestId(request.requestId);
  return { tenantId, keyId, by: { actor: caller.name, requestId, rule: caller.rule(role, tenantId) } };
}

function keyPlace([tenantId, purposeName, version, ...more]: readonly unknown[]): KeyPlace | undefined {
  const purpose = purposes.find((name) => name === purposeName);
  if (purpose === undefined || more.length > 0) return undefined;
  if (typeof tenantId !== "string" || !tenantIdPattern.test(tenantId)) return undefined;
  if (typeof version !== "number" || !Number.isSafeInteger(version) || version < 1) return undefined;
  return { tenantId, purpose, version };
}

function isScheduled({ state }: KeyRecord): boolean {
  return state === "DESTROY_SCHEDULED";
}

/** Undefined too where what was noted is damaged: Status says so, and keys are listed without it. */
async function witnessedMsIn(store: Pick<Store, "witnessedTime">): Promise<number | undefined> {
  try {
    return (await store.witnessedTime()).noted?.witnessedMs;
  } catch (error) {
    if (hasCode(error, "DATA_LOSS")) return undefined;
    throw error;
  }
}

/** Never the wrapped bytes. With the witnessed time, what is left of a destruction's wait. */
function toMessage(record: KeyRecord, witnessedMs?: number): Key {
  const left = witnessedMs === undefined ? undefined : unwitnessedMs(record, witnessedMs);
  const { tenantId, keyId, version, state, provider, providerKeyId, previousState } = record;
  return create(KeySchema, {
    version: create(KeyVersionSchema, { tenantId, purpose: keyPurposes[record.purpose], keyId, version }),
    state: keyStates[state],
    provider,
    providerKeyId,
    createdAt: timestampFromDate(record.createdAt),
    ...(record.activatedAt && { activatedAt: timestampFromDate(record.activatedAt) }),
    ...(record.retiredAt && { retiredAt: timestampFromDate(record.retiredAt) }),
    ...(record.compromisedAt && { compromisedAt: timestampFromDate(record.compromisedAt) }),
    ...(record.destroyAt && { destroyAt: timestampFromDate(record.destroyAt) }),
    ...(previousState && { previousState: keyStates[previousState] }),
    ...(left !== undefined && { destroyUnwitnessed: durationFromMs(left) }),
    ...destructionOf(record),
  });
}

function destructionOf({ destruction }: KeyRecord) {
  if (destruction === undefined) return {};
  const { by, request, confirmedBy = "" } = destruction;
  return {
    destroyRequestedBy: by,
    destroyConfirmedBy: confirmedBy,
    ...(request && { destroyRequestedAt: timestampFromDate(request.at), destroyRequestedDays: request.days }),
  };
}
