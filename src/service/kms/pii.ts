/** EncryptPii, DecryptPii and ReEncryptPii. */
import { create } from "@bufbuild/protobuf";
import {
  DecryptedFieldSchema,
  type DecryptPiiRequest,
  type DecryptPiiResponse,
  DecryptPiiResponseSchema,
  type EncryptedField,
  type EncryptPiiRequest,
  type EncryptPiiResponse,
  EncryptPiiResponseSchema,
  type ReEncryptedField,
  ReEncryptedFieldSchema,
  type ReEncryptPiiRequest,
  type ReEncryptPiiResponse,
  ReEncryptPiiResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { canonicalPairs, contextPairs } from "../../crypto/encryption-context.ts";
import { unitsOf } from "../../limits/calls.ts";
import type { Keyring } from "../../keys/keyring.ts";
import type { UsableDataKey } from "../../keys/usable-key.ts";
import { sealField } from "../../envelope/pii-field.ts";
import { type MaybePromise, andThen } from "../../call/maybe-promise.ts";
import { roleOf } from "../../call/roles.ts";
import type { Used } from "../../audit/audited.ts";
import type { Uses } from "../../audit/observer.ts";
import type { CallContext } from "../../call/context.ts";
import type { KeyTimer } from "../key-timer.ts";
import { nextSlice, sliceFields } from "./field-slices.ts";
import { openFields, overwrite } from "./open-fields.ts";
import { checkNames, checkValues } from "./pii-limits.ts";

export interface PiiParts {
  keyring: Keyring;
  keyTimer: KeyTimer;
}

export function piiHandlers({ keyring, keyTimer }: PiiParts) {
  return {
    encryptPii(request: EncryptPiiRequest, call: CallContext): MaybePromise<Used<EncryptPiiResponse>> {
      const tenantId = call.caller.authorize(request.tenantId, roleOf.encryptPii);
      checkNames(request.fields);
      checkValues(request.fields);
      call.caller.limits?.spend(tenantId, unitsOf(request.fields.length));
      const pairs = canonicalPairs(contextPairs(request.encryptionContext));
      const { fields, sealSlice } = sealing(request, tenantId, pairs);
      const sealed = (keyId: string) => ({
        answer: create(EncryptPiiResponseSchema, { fields, keyId }),
        tenantId,
        uses: [{ keyId, count: fields.length }],
        items: fields.length,
      });
      const sealRest = async (keyId: string) => {
        while (fields.length < request.fields.length) {
          await nextSlice(call);
          sealSlice(await keyring.dataKey(tenantId, keyId, call));
        }
        return sealed(keyId);
      };
      return andThen(
        keyTimer.encryption(() => keyring.activeDataKey(tenantId, call, roleOf.encryptPii)),
        (key) => {
          sealSlice(key);
          return fields.length < request.fields.length ? sealRest(key.keyId) : sealed(key.keyId);
        },
      );
    },

    async decryptPii(request: DecryptPiiRequest, call: CallContext): Promise<Used<DecryptPiiResponse>> {
      const tenantId = call.caller.authorize(request.tenantId, roleOf.decryptPii);
      checkNames(request.fields);
      call.caller.limits?.spend(tenantId, unitsOf(request.fields.length));
      const pairs = canonicalPairs(contextPairs(request.encryptionContext));
      const opened = await openFields({ keyring, keyTimer }, { tenantId, fields: request.fields, pairs }, call);
      const fields = opened.results.map((result, index) =>
        create(DecryptedFieldSchema, {
          name: request.fields[index]!.name,
          result: result instanceof Uint8Array ? { case: "value", value: result } : { case: "error", value: result },
        }),
      );
      return {
        answer: create(DecryptPiiResponseSchema, { fields }),
        tenantId,
        uses: usesOf(opened.counts),
        refusals: opened.refusals,
        items: fields.length,
      };
    },

    async reEncryptPii(request: ReEncryptPiiRequest, call: CallContext): Promise<Used<ReEncryptPiiResponse>> {
      const tenantId = call.caller.authorize(request.tenantId, roleOf.reEncryptPii);
      checkNames(request.fields);
      call.caller.limits?.spend(tenantId, unitsOf(request.fields.length));
      const pairs = canonicalPairs(contextPairs(request.encryptionContext));
      const opened = await openFields({ keyring, keyTimer }, { tenantId, fields: request.fields, pairs }, call);
      try {
        let key = await keyTimer.encryption(() => keyring.activeDataKey(tenantId, call, roleOf.reEncryptPii));
        const fields: ReEncryptedField[] = [];
        for (const [index, result] of opened.results.entries()) {
          if (index > 0 && index % sliceFields === 0) {
            await nextSlice(call);
            key = await keyring.dataKey(tenantId, key.keyId, call);
          }
          const { name } = request.fields[index]!;
          if (result instanceof Uint8Array) {
            const token = sealField(key, { tenantId, name, contextPairs: pairs }, result);
            fields.push(create(ReEncryptedFieldSchema, { name, result: { case: "token", value: token } }));
          } else fields.push(create(ReEncryptedFieldSchema, { name, result: { case: "error", value: result } }));
        }
        // Every field that was opened was sealed by this key, those that it had opened itself too.
        const sealed = [...opened.counts.values()].reduce((sum, count) => sum + count, 0);
        if (sealed > 0) opened.counts.set(key.keyId, sealed);
        return {
          answer: create(ReEncryptPiiResponseSchema, { fields, keyId: key.keyId }),
          tenantId,
          uses: usesOf(opened.counts),
          refusals: opened.refusals,
          items: fields.length,
        };
      } finally {
        overwrite(opened.results);
      }
    },
  };
}

/** `counts` are fields by key id. */
function usesOf(counts: ReadonlyMap<string, number>): Uses["uses"] {
  return Array.from(counts, ([keyId, count]) => ({ keyId, count }));
}

/** The fields that are sealed so far, and what seals the next slice of them. */
function sealing(request: EncryptPiiRequest, tenantId: string, contextPairs: Uint8Array) {
  const fields: EncryptedField[] = [];
  return {
    fields,
    sealSlice(key: UsableDataKey) {
      for (const { name, value } of request.fields.slice(fields.length, fields.length + sliceFields)) {
        const token = sealField(key, { tenantId, name, contextPairs }, value);
        fields.push({ $typeName: "fluo.kms.v1.EncryptedField", name, token });
      }
    },
  };
}
