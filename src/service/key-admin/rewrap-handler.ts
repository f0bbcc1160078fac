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
import type { MasterKeys } from "../../provider-keys/provider-keys.ts";
import type { FailedRewrap, Rewrap, RewrapResult } from "../../keys/rewrapping.ts";
import type { WrappedBy, WrappedPlace } from "../../store/key-store.ts";
import type { Store } from "../../store/store.ts";
import type { AuditObserver } from "../../audit/observer.ts";
import type { CallContext } from "../../call/context.ts";
import { checkRequestId } from "../../call/ids.ts";
import { keyPurposes } from "../messages.ts";
import { pageSize, pageStart, pageToken } from "../page.ts";
import { itemError } from "../rpc-code.ts";

export interface RewrapParts {
  rewrap: Rewrap;
  /** By which tokens of another provider key are told. */
  current: WrappedBy;
}

export function rewrapHandlers({ rewrap, current }: RewrapParts) {
  const listing = ["rewrap", current.provider, current.providerKeyId];
  return {
    async rewrapKeys(request: RewrapKeysRequest, call: CallContext): Promise<RewrapKeysResponse> {
      call.caller.require("admin");
      const { dryRun } = request;
      const limit = pageSize(request.pageSize);
      const after = pageStart(request.pageToken, listing, placeOf);
      const by = { actor: call.caller.name, requestId: checkRequestId(request.requestId) };
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

/**
 * A re-wrapping whose keys fail one by one: damage is told to the observer. What else fails is no refusal of a use, and the answer says it.
 * `moved` is told when fewer keys remain.
 */
export function observedRewrap({ rewrap }: Rewrap, observer: AuditObserver, moved: () => void): Rewrap {
  const tell = ({ failed }: RewrapResult, actor: string) => {
    for (const { key, error } of failed.filter(({ error }) => error.code === "DATA_LOSS")) {
      observer.failed({ actor, action: "rewrap", tenantId: key?.tenantId ?? "", keyId: key?.keyId }, error);
    }
  };
  return {
    async rewrap(request, signal) {
      const result = await rewrap(request, signal);
      tell(result, request.by.actor);
      if (!request.dryRun && (result.keys > 0 || result.storeKey)) moved();
      return result;
    },
  };
}

/** What is still to be re-wrapped, for an operator. */
export async function rewrapRemarks(
  store: Pick<Store, "storeKey" | "countWrappedByOthers">,
  keys: Pick<MasterKeys, "wrapping" | "isNamed">,
): Promise<string[]> {
  const should = keys.wrapping();
  const { current } = should;
  const others = await store.countWrappedByOthers(should);
  const { provider, providerKeyId } = await store.storeKey();
  const isStoreLeft = provider !== current.provider || providerKeyId !== current.providerKeyId;
  const left = others.map((other) => {
    const count = other.keys === 1 ? "1 key is" : `${other.keys.toLocaleString("en")} keys are`;
    const where = `${count} still under ${other.provider} ${other.providerKeyId}`;
    return keys.isNamed(other)
      ? `${where}: run fluo-kms rewrap.`
      : `${where}, which the configuration does not name: name it, and run fluo-kms rewrap.`;
  });
  if (isStoreLeft) left.push(`The store key is still under ${provider} ${providerKeyId}: run fluo-kms rewrap.`);
  return left;
}

function failure({ key, error }: FailedRewrap) {
  if (key === undefined) return create(FailedRewrapSchema, { error: itemError(error, "") });
  const { tenantId, purpose, keyId, version } = key;
  return create(FailedRewrapSchema, {
    key: create(KeyVersionSchema, { tenantId, purpose: keyPurposes[purpose], keyId, version }),
    error: itemError(error, ""),
  });
}

function partsOf({ provider, providerKeyId, keyId }: WrappedPlace): string[] {
  return [provider, providerKeyId, keyId];
}

function placeOf([provider, providerKeyId, keyId, ...more]: readonly unknown[]): WrappedPlace | undefined {
  if (typeof provider !== "string" || typeof providerKeyId !== "string" || typeof keyId !== "string") return undefined;
  return more.length > 0 ? undefined : { provider, providerKeyId, keyId };
}
