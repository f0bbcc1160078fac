/** The handlers of fluo.kms.v1.KmsService, one a call, shared by both transports. */
import type { DescMethodUnary, MessageShape } from "@bufbuild/protobuf";
import type { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { parseEnvelope } from "../../envelope/envelope.ts";
import type { Answer } from "../../call/maybe-promise.ts";
import { type Audited, auditedHandlers } from "../../audit/audited.ts";
import { type AuditObserver, type Named, observedRotation } from "../../audit/observer.ts";
import type { CallContext } from "../../call/context.ts";
import { type DataKeyParts, dataKeyHandlers } from "./data-key.ts";
import { type PiiParts, piiHandlers } from "./pii.ts";
import {
  type PublicKeyParts,
  type PublicKeySet,
  type PublicKeySetRequest,
  publicKeyHandlers,
} from "./public-key-set.ts";
import { type RotateParts, rotateHandlers } from "./rotate-handler.ts";
import { type SigningParts, signingHandlers, tenantOfSignSpan } from "./sign-span.ts";
import { type StatusParts, statusHandlers } from "./status-handler.ts";
import { type ValidateParts, validateHandlers } from "./validate/handler.ts";

type Methods = typeof KmsService.method;
type Unary = { [Name in keyof Methods as Methods[Name] extends DescMethodUnary ? Name : never]: Methods[Name] };

/**
 * Message in, message out; but SignSpan and VerifySpan take the request's wire bytes, which span/ reads in one pass, and
 * SignSpan answers in wire bytes.
 */
export type KmsHandlers = {
  [Name in Exclude<keyof Unary, "signSpan" | "verifySpan">]: (
    request: MessageShape<Unary[Name]["input"]>,
    context: CallContext,
  ) => Answer<MessageShape<Unary[Name]["output"]>>;
} & {
  signSpan(request: Uint8Array, context: CallContext): Answer<Uint8Array>;
  verifySpan(request: Uint8Array, context: CallContext): Answer<MessageShape<Unary["verifySpan"]["output"]>>;
  publicKeySet(request: PublicKeySetRequest, context: CallContext): Promise<PublicKeySet>;
};

export type KmsParts = DataKeyParts &
  PiiParts &
  PublicKeyParts &
  RotateParts &
  SigningParts &
  StatusParts &
  ValidateParts & { observer: AuditObserver };

type AuditedCalls = { [Name in keyof KmsHandlers]: Audited<Parameters<KmsHandlers[Name]>[0]> };

const named = (request: Named) => request;
const notAudited = { action: undefined, kind: "look", named: () => ({}) } as const;

/** How each call stands in the audit trail. Those that use no secret key and change none are not in it. */
const auditedCalls: AuditedCalls = {
  generateDataKey: { action: "generate_data_key", kind: "use", named },
  decryptDataKey: { action: "decrypt_data_key", kind: "use", named: namedByBlob },
  encryptPii: { action: "encrypt_pii", kind: "use", named },
  decryptPii: { action: "decrypt_pii", kind: "use", named },
  reEncryptPii: { action: "re_encrypt_pii", kind: "use", named },
  signSpan: { action: "sign_span", kind: "use", named: (request) => ({ tenantId: tenantOfSignSpan(request) }) },
  rotate: { action: "rotate", kind: "change", named },
  verifySpan: notAudited,
  getPublicKeys: notAudited,
  publicKeySet: notAudited,
  validate: notAudited,
  status: notAudited,
};

export function kmsHandlers(parts: KmsParts): KmsHandlers {
  const { observer } = parts;
  const handlers: KmsHandlers = {
    ...dataKeyHandlers(parts),
    ...piiHandlers(parts),
    ...publicKeyHandlers(parts),
    ...signingHandlers(parts),
    ...statusHandlers(parts),
    ...validateHandlers(parts),
    rotate(request, call) {
      const rotation = observedRotation(parts.rotation, call.caller.name, observer);
      return rotateHandlers({ rotation }).rotate(request, call);
    },
  };
  return auditedHandlers(handlers, auditedCalls, observer);
}

/** A forged blob may hold no id, or anyone's. */
function namedByBlob({ tenantId, ciphertextBlob }: { tenantId: string; ciphertextBlob: Uint8Array }): Named {
  try {
    return { tenantId, keyId: parseEnvelope("data-key", ciphertextBlob).keyId };
  } catch {
    return { tenantId };
  }
}
