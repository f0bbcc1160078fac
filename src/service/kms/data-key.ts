/** GenerateDataKey and DecryptDataKey: data keys for client-side envelope encryption. */
import { create } from "@bufbuild/protobuf";
import {
  type DecryptDataKeyRequest,
  type DecryptDataKeyResponse,
  DecryptDataKeyResponseSchema,
  type GenerateDataKeyRequest,
  type GenerateDataKeyResponse,
  GenerateDataKeyResponseSchema,
  KeySpec,
} from "../../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { canonicalContext, canonicalPairs, contextPairs } from "../../crypto/encryption-context.ts";
import { randomSecret } from "../../crypto/random.ts";
import { invalidField } from "../../errors.ts";
import type { Keyring } from "../../keys/keyring.ts";
import type { UsableDataKey } from "../../keys/usable-key.ts";
import { openEnvelope, parseEnvelope, sealEnvelope } from "../../envelope/envelope.ts";
import { type MaybePromise, andThen } from "../../call/maybe-promise.ts";
import { roleOf } from "../../call/roles.ts";
import type { Used } from "../../audit/audited.ts";
import type { CallContext } from "../../call/context.ts";
import type { KeyTimer } from "../key-timer.ts";

export interface DataKeyParts {
  keyring: Keyring;
  keyTimer: KeyTimer;
}

const specBytes: Readonly<Record<KeySpec, number>> = {
  [KeySpec.UNSPECIFIED]: 32,
  [KeySpec.AES_256]: 32,
  [KeySpec.AES_128]: 16,
};

export function dataKeyHandlers({ keyring, keyTimer }: DataKeyParts) {
  return {
    generateDataKey(request: GenerateDataKeyRequest, call: CallContext): MaybePromise<Used<GenerateDataKeyResponse>> {
      const tenantId = call.caller.authorize(request.tenantId, roleOf.generateDataKey);
      const bytes = specBytes[request.keySpec];
      if (bytes === undefined) throw invalidField("key_spec", "is not a known KeySpec");
      const context = canonicalContext(tenantId, "", canonicalPairs(contextPairs(request.encryptionContext)));
      const seal = (key: UsableDataKey) => {
        const plaintext = randomSecret(bytes);
        const ciphertextBlob = sealEnvelope("data-key", key, context, plaintext);
        const { keyId } = key;
        const answer = create(GenerateDataKeyResponseSchema, { ciphertextBlob, keyId });
        if (request.withoutPlaintext) plaintext.fill(0);
        else answer.plaintext = plaintext;
        return { answer, tenantId, uses: [{ keyId, count: 1 }] };
      };
      return andThen(
        keyTimer.encryption(() => keyring.activeDataKey(tenantId, call, roleOf.generateDataKey)),
        seal,
      );
    },

    decryptDataKey(request: DecryptDataKeyRequest, call: CallContext): MaybePromise<Used<DecryptDataKeyResponse>> {
      const tenantId = call.caller.authorize(request.tenantId, roleOf.decryptDataKey);
      const context = canonicalContext(tenantId, "", canonicalPairs(contextPairs(request.encryptionContext)));
      const { keyId } = parseEnvelope("data-key", request.ciphertextBlob);
      const open = (key: UsableDataKey) => {
        const plaintext = openEnvelope("data-key", key.material, context, request.ciphertextBlob);
        const answer = create(DecryptDataKeyResponseSchema, { plaintext, keyId });
        return { answer, tenantId, uses: [{ keyId, count: 1 }] };
      };
      return andThen(
        keyTimer.encryption(() => keyring.dataKey(tenantId, keyId, call)),
        open,
      );
    },
  };
}
