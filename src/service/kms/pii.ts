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
import type { Tally } from "../../telemetry/tally.ts";
import { type MaybePromise, andThen } from "../../call/maybe-promise.ts";
import { roleOf } from "../../call/roles.ts";
import { type AuditObserver, unobserved } from "../../audit/observer.ts";
import type { CallContext } from "../../call/context.ts";
import type { KeyTimer } from "../key-timer.ts";
import { nextSlice, sliceFields } from "./field-slices.ts";
import { openFields, overwrite, tellOpenings } from "./open-fields.ts";
import { checkNames, checkValues } from "./pii-limits.ts";

export interface PiiParts {
  keyring: Keyring;
  keyTimer: KeyTimer;
  piiFields: Tally<"encrypt" | "decrypt" | "re_encrypt">;
  observer?: Pick<AuditObserver, "used" | "failed">;
}

export function piiHandlers({ keyring, keyTimer, piiFields, observer = unobserved }: PiiParts) {
  return {
    encryptPii(request: EncryptPiiRequest, call: CallContext): MaybePromise<EncryptPiiResponse> {
      const tenantId = call.caller.authorize(request.tenantId, roleOf.encryptPii);
      checkNames(request.fields);
      checkValues(request.fields);
      call.caller.limits?.spend(tenantId, unitsOf(request.fields.length));
      const pairs = canonicalPairs(contextPairs(request.encryptionContext));
      const { fields, sealSlice } = sealing(request, tenantId, pairs);
      const answer = (keyId: string) => {
        piiFields.add(fields.length, "encrypt");
        const rule = call.caller.rule(roleOf.encryptPii, tenantId);
        observer.used(call.caller.name, "encrypt_pii", tenantId, keyId, "data", fields.length, rule);
        return create(EncryptPiiResponseSchema, { fields, keyId });
      };
      const sealRest = async (keyId: string) => {
        while (fields.length < request.fields.length) {
          await nextSlice(call);
          sealSlice(await keyring.dataKey(tenantId, keyId, call));
        }
        return answer(keyId);
      };
      return andThen(
        keyTimer.encryption(() => keyring.activeDataKey(tenantId, call, roleOf.encryptPii)),
        (key) => {
          sealSlice(key);
          return fields.length < request.fields.length ? sealRest(key.keyId) : answer(key.keyId);
        },
      );
    },

    async decryptPii(request: DecryptPiiRequest, call: CallContext): Promise<DecryptPiiResponse> {
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
      piiFields.add(fields.length, "decrypt");
      tellOpenings(observer, "decrypt_pii", tenantId, opened, call);
      return create(DecryptPiiResponseSchema, { fields });
    },

    async reEncryptPii(request: ReEncryptPiiRequest, call: CallContext): Promise<ReEncryptPiiResponse> {
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
        piiFields.add(fields.length, "re_encrypt");
        // Every field that was opened was sealed by this key, those that it had opened itself too.
        const sealed = [...opened.uses.values()].reduce((sum, count) => sum + count, 0);
        if (sealed > 0) opened.uses.set(key.keyId, sealed);
        tellOpenings(observer, "re_encrypt_pii", tenantId, opened, call);
        return create(ReEncryptPiiResponseSchema, { fields, keyId: key.keyId });
      } finally {
        overwrite(opened.results);
      }
    },
  };
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
