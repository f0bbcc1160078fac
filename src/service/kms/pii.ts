/** EncryptPii, DecryptPii and ReEncryptPii. */
import { create } from "@bufbuild/protobuf";
import type { ItemError } from "../../../gen/ts/fluo/kms/v1/item_error_pb.ts";
import {
  DecryptedFieldSchema,
  type DecryptPiiRequest,
  type DecryptPiiResponse,
  DecryptPiiResponseSchema,
  type EncryptedField,
  type EncryptPiiRequest,
  type EncryptPiiResponse,
  EncryptPiiResponseSchema,
  ReEncryptedFieldSchema,
  type ReEncryptPiiRequest,
  type ReEncryptPiiResponse,
  ReEncryptPiiResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { canonicalPairs, contextPairs } from "../../crypto/encryption-context.ts";
import { hasCode, KmsError } from "../../errors.ts";
import type { Keyring } from "../../keys/keyring.ts";
import type { UsableDataKey } from "../../keys/usable-key.ts";
import { openField, readToken, type SealedField, sealField } from "../../envelope/pii-field.ts";
import type { Tally } from "../../telemetry.ts";
import { type Answer, andThen } from "../../call/maybe-promise.ts";
import { type AuditObserver, unobserved } from "../../audit/observer.ts";
import type { CallContext } from "../../call/context.ts";
import type { KeyTimer } from "../key-timer.ts";
import { checkNames, checkValues } from "./pii-limits.ts";
import { itemError } from "../rpc-code.ts";

export interface PiiParts {
  keyring: Keyring;
  keyTimer: KeyTimer;
  piiFields: Tally<"encrypt" | "decrypt" | "re_encrypt">;
  observer?: Pick<AuditObserver, "used" | "failed">;
}

/** A value, which whoever got it overwrites or sends; or why there is none. */
type Opened = Uint8Array | ItemError;

interface Openings {
  /** In the order of the fields. */
  results: Opened[];
  /** Fields that were opened, by key. */
  uses: Map<string, number>;
  refusals: { keyId: string; error: unknown }[];
}

export function piiHandlers({ keyring, keyTimer, piiFields, observer = unobserved }: PiiParts) {
  return {
    encryptPii(request: EncryptPiiRequest, call: CallContext): Answer<EncryptPiiResponse> {
      const tenantId = call.caller.tenant(request.tenantId);
      checkNames(request.fields);
      checkValues(request.fields);
      const pairs = canonicalPairs(contextPairs(request.encryptionContext));
      const seal = (key: UsableDataKey) => {
        const fields = request.fields.map(({ name, value }): EncryptedField => {
          const token = sealField(key, { tenantId, name, contextPairs: pairs }, value);
          return { $typeName: "fluo.kms.v1.EncryptedField", name, token };
        });
        piiFields.add(fields.length, "encrypt");
        observer.used(call.caller.name, "encrypt_pii", tenantId, key.keyId, "data", fields.length);
        return create(EncryptPiiResponseSchema, { fields, keyId: key.keyId });
      };
      return andThen(
        keyTimer.encryption(() => keyring.activeDataKey(tenantId, call)),
        seal,
      );
    },

    async decryptPii(request: DecryptPiiRequest, call: CallContext): Promise<DecryptPiiResponse> {
      const tenantId = call.caller.tenant(request.tenantId);
      checkNames(request.fields);
      const pairs = canonicalPairs(contextPairs(request.encryptionContext));
      const opened = await openFields(tenantId, request.fields, pairs, call);
      const fields = opened.results.map((result, index) =>
        create(DecryptedFieldSchema, {
          name: request.fields[index]!.name,
          result: result instanceof Uint8Array ? { case: "value", value: result } : { case: "error", value: result },
        }),
      );
      piiFields.add(fields.length, "decrypt");
      tell("decrypt_pii", tenantId, opened, call);
      return create(DecryptPiiResponseSchema, { fields });
    },

    async reEncryptPii(request: ReEncryptPiiRequest, call: CallContext): Promise<ReEncryptPiiResponse> {
      const tenantId = call.caller.tenant(request.tenantId);
      checkNames(request.fields);
      const pairs = canonicalPairs(contextPairs(request.encryptionContext));
      const opened = await openFields(tenantId, request.fields, pairs, call);
      try {
        const key = await keyTimer.encryption(() => keyring.activeDataKey(tenantId, call));
        const fields = opened.results.map((result, index) => {
          const { name } = request.fields[index]!;
          if (!(result instanceof Uint8Array)) {
            return create(ReEncryptedFieldSchema, { name, result: { case: "error", value: result } });
          }
          const token = sealField(key, { tenantId, name, contextPairs: pairs }, result);
          return create(ReEncryptedFieldSchema, { name, result: { case: "token", value: token } });
        });
        piiFields.add(fields.length, "re_encrypt");
        // Every field that was opened was sealed by this key, those that it had opened itself too.
        const sealed = [...opened.uses.values()].reduce((sum, count) => sum + count, 0);
        if (sealed > 0) opened.uses.set(key.keyId, sealed);
        tell("re_encrypt_pii", tenantId, opened, call);
        return create(ReEncryptPiiResponseSchema, { fields, keyId: key.keyId });
      } finally {
        overwrite(opened.results);
      }
    },
  };

  function tell(
    action: "decrypt_pii" | "re_encrypt_pii",
    tenantId: string,
    { uses, refusals }: Openings,
    call: CallContext,
  ): void {
    const actor = call.caller.name;
    for (const [keyId, count] of uses) observer.used(actor, action, tenantId, keyId, "data", count);
    for (const { keyId, error } of refusals) observer.failed({ actor, action, tenantId, keyId }, error);
  }

  /** Fields of one key are opened together, in the turn in which it was got: later it may be evicted and overwritten. */
  async function openFields(
    tenantId: string,
    fields: readonly EncryptedField[],
    pairs: Uint8Array,
    call: CallContext,
  ): Promise<Openings> {
    const results: Opened[] = new Array(fields.length);
    const uses = new Map<string, number>();
    const refusals: Openings["refusals"] = [];
    const refuse = (index: number, keyId: string, error: unknown) => {
      results[index] = fieldError(error, index);
      refusals.push({ keyId, error });
    };
    const byKey = new Map<string, { index: number; sealed: SealedField }[]>();
    fields.forEach(({ token }, index) => {
      try {
        const sealed = readToken(token);
        const group = byKey.get(sealed.keyId);
        if (group) group.push({ index, sealed });
        else byKey.set(sealed.keyId, [{ index, sealed }]);
      } catch (error) {
        refuse(index, "", error);
      }
    });
    try {
      for (const [keyId, group] of byKey) {
        const key = await keyOrError(tenantId, keyId, call);
        let count = 0;
        for (const { index, sealed } of group) {
          try {
            if (key instanceof KmsError) throw key;
            results[index] = openField(
              key.material,
              { tenantId, name: fields[index]!.name, contextPairs: pairs },
              sealed,
            );
            count += 1;
          } catch (error) {
            refuse(index, keyId, error);
          }
        }
        if (count > 0) uses.set(keyId, count);
      }
      return { results, uses, refusals };
    } catch (error) {
      overwrite(results);
      throw error;
    }
  }

  async function keyOrError(tenantId: string, keyId: string, call: CallContext): Promise<UsableDataKey | KmsError> {
    try {
      return await keyTimer.encryption(() => keyring.dataKey(tenantId, keyId, call));
    } catch (error) {
      if (error instanceof KmsError) return error;
      throw error;
    }
  }
}

function overwrite(opened: readonly Opened[]): void {
  for (const result of opened) if (result instanceof Uint8Array) result.fill(0);
}

/** A token or key that will not do is the failure of its field; a provider, store or caller that is gone is the call's. */
function fieldError(error: unknown, index: number): ItemError {
  if (!hasCode(error, "CIPHERTEXT_REJECTED", "KEY_UNUSABLE", "PROVIDER_DENIED", "DATA_LOSS")) throw error;
  return itemError(error, `fields[${index}].token`);
}
