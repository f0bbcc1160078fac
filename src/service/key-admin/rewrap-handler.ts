/** RewrapKeys: keys from under another provider key to under the current one, page by page. */
import { create } from "@bufbuild/protobuf";
import { KeyVersionSchema } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import {
  FailedRewrapSchema,
  type RewrapKeysRequest,
  type RewrapKeysResponse,
  RewrapKeysResponseSchema,
  WrappedKeysSchema,
} from "../../../gen/ts/fluo/kms/v1/rewrap_pb.ts";
import type { FailedRewrap, Rewrap } from "../../keys/rewrapping.ts";
import type { WrappedBy, WrappedCursor } from "../../store/key-store.ts";
import type { CallContext } from "../../call/context.ts";
import { roleOf } from "../../call/roles.ts";
import { checkRequestId } from "../../call/ids.ts";
import { itemError, keyPurposes } from "../messages.ts";
import { pageSize, pageStart, pageToken } from "../page.ts";

export interface RewrapParts {
  rewrap: Rewrap;
  /** By which tokens of another provider key are told. */
  current: WrappedBy;
}

export function rewrapHandlers({ rewrap, current }: RewrapParts) {
  const listing = ["rewrap", current.provider, current.providerKeyId];
  return {
    async rewrapKeys(request: RewrapKeysRequest, call: CallContext): Promise<RewrapKeysResponse> {
      call.caller.every(roleOf.rewrapKeys);
      const { dryRun } = request;
      const limit = pageSize(request.pageSize);
      const after = pageStart(request.pageToken, listing, placeOf);
      const requestId = checkRequestId(request.requestId);
      const by = { actor: call.caller.name, requestId, rule: call.caller.rule(roleOf.rewrapKeys) };
      const result = await rewrap.rewrap({ by, limit, after, dryRun }, call.signal);
      const { provider, providerKeyId } = result.target;
      return create(RewrapKeysResponseSchema, {
        provider,
        providerKeyId,
        storeKeyRewrapped: result.storeKey,
        rewrapped: result.keys,
        failed: result.failed.map(failure),
        ...(result.interrupted && { interrupted: itemError(result.interrupted, "") }),
        remaining: BigInt(result.remaining),
        others: result.others.map((other) => create(WrappedKeysSchema, { ...other, keys: BigInt(other.keys) })),
        nextPageToken: result.next ? pageToken(listing, partsOf(result.next)) : "",
        dryRun,
      });
    },
  };
}

function failure({ key, error }: FailedRewrap) {
  if (key === undefined) return create(FailedRewrapSchema, { error: itemError(error, "") });
  const { tenantId, purpose, keyId, version } = key;
  return create(FailedRewrapSchema, {
    key: create(KeyVersionSchema, { tenantId, purpose: keyPurposes[purpose], keyId, version }),
    error: itemError(error, ""),
  });
}

function partsOf({ provider, providerKeyId, keyId }: WrappedCursor): string[] {
  return [provider, providerKeyId, keyId];
}

function placeOf([provider, providerKeyId, keyId, ...more]: readonly unknown[]): WrappedCursor | undefined {
  if (typeof provider !== "string" || typeof providerKeyId !== "string" || typeof keyId !== "string") return undefined;
  return more.length > 0 ? undefined : { provider, providerKeyId, keyId };
}
