/** The handlers of fluo.kms.v1.KmsService, one a call, shared by both transports. */
import type { DescMethodUnary, MessageShape } from "@bufbuild/protobuf";
import type { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { parseEnvelope } from "../../envelope/envelope.ts";
import type { MaybePromise } from "../../call/maybe-promise.ts";
import type { VerifySpanRequest } from "../../attestation/verify-span.ts";
import { notAudited, type Used } from "../../audit/audited.ts";
import { type AuditObserver, type Named, observedRotation } from "../../audit/observer.ts";
import { ruleOf } from "../../audit/rule-of.ts";
import type { CallContext } from "../../call/context.ts";
import {
  decodeEncryptPiiRequest,
  encodeEncryptPiiResponse,
  encodeGenerateDataKeyResponse,
} from "../codec/data-plane.ts";
import {
  decodeSignSpanRequest,
  encodeSignSpanResponse,
  readVerifySpanRequest,
  type SignedAnswer,
  type SignSpanRequest,
} from "../codec/sign-span.ts";
import type { Methods } from "../method.ts";
import { type DataKeyParts, dataKeyHandlers } from "./data-key.ts";
import { type PiiParts, piiHandlers } from "./pii.ts";
import {
  type PublicKeyParts,
  type PublicKeySet,
  type PublicKeySetRequest,
  publicKeyHandlers,
} from "./public-key-set.ts";
import { type RotateParts, rotateHandlers } from "./rotate-handler.ts";
import { type SigningParts, signingHandlers } from "./sign-span.ts";
import { type StatusParts, statusHandlers } from "./status-handler.ts";
import { type ValidateParts, validateHandlers } from "./validate/handler.ts";

type Rpcs = typeof KmsService.method;
type Unary = { [Name in keyof Rpcs as Rpcs[Name] extends DescMethodUnary ? Name : never]: Rpcs[Name] };

type Using = "generateDataKey" | "decryptDataKey" | "encryptPii" | "decryptPii" | "reEncryptPii" | "signSpan";

/** What a handler returns: the message of its response, with the uses of keys if there are some. */
type Result<Name extends keyof Unary, Answer = MessageShape<Unary[Name]["output"]>> = MaybePromise<
  Name extends Using ? Used<Answer> : Answer
>;

/** Message in, message out; but requests of SignSpan and VerifySpan are read in one pass, and answers of SignSpan written in one. */
export type KmsHandlers = {
  [Name in Exclude<keyof Unary, "signSpan" | "verifySpan">]: (
    request: MessageShape<Unary[Name]["input"]>,
    context: CallContext,
  ) => Result<Name>;
} & {
  signSpan(request: SignSpanRequest, context: CallContext): Result<"signSpan", SignedAnswer>;
  verifySpan(request: VerifySpanRequest, context: CallContext): Result<"verifySpan">;
  publicKeySet(request: PublicKeySetRequest, context: CallContext): Promise<PublicKeySet>;
};

export type KmsParts = DataKeyParts &
  PiiParts &
  PublicKeyParts &
  RotateParts &
  SigningParts &
  StatusParts &
  ValidateParts & { observer: AuditObserver };

const named = (request: Named) => request;

export const kmsMethods: Methods<KmsHandlers> = {
  generateDataKey: {
    audit: { kind: "use", action: "generate_data_key", purpose: "data", named },
    codec: { encode: encodeGenerateDataKeyResponse },
  },
  decryptDataKey: { audit: { kind: "use", action: "decrypt_data_key", purpose: "data", named: namedByBlob } },
  encryptPii: {
    audit: { kind: "use", action: "encrypt_pii", purpose: "data", counted: "encrypt", named },
    codec: { decode: decodeEncryptPiiRequest, encode: encodeEncryptPiiResponse },
  },
  decryptPii: { audit: { kind: "use", action: "decrypt_pii", purpose: "data", counted: "decrypt", named } },
  reEncryptPii: { audit: { kind: "use", action: "re_encrypt_pii", purpose: "data", counted: "re_encrypt", named } },
  signSpan: {
    audit: {
      kind: "use",
      action: "sign_span",
      purpose: "signing",
      counted: "individual",
      named: ({ tenantId }) => ({ tenantId }),
    },
    codec: { decode: decodeSignSpanRequest, encode: encodeSignSpanResponse, own: true },
  },
  verifySpan: { audit: notAudited("verify_span"), codec: { decode: readVerifySpanRequest, own: true } },
  rotate: { audit: { action: "rotate", kind: "change", named } },
  getPublicKeys: { audit: notAudited("get_public_keys") },
  publicKeySet: { audit: notAudited("get_public_keys") },
  validate: { audit: notAudited("validate") },
  status: { audit: notAudited("status") },
};

export function kmsHandlers(parts: KmsParts): KmsHandlers {
  const { observer } = parts;
  return {
    ...dataKeyHandlers(parts),
    ...piiHandlers(parts),
    ...publicKeyHandlers(parts),
    ...signingHandlers(parts),
    ...statusHandlers(parts),
    ...validateHandlers(parts),
    rotate(request, call) {
      const rule = ruleOf(call.caller, "rotate", request.tenantId);
      const rotation = observedRotation(parts.rotation, call.caller.name, observer, rule);
      return rotateHandlers({ rotation }).rotate(request, call);
    },
  };
}

/** A forged blob may hold no id, or anyone's. */
function namedByBlob({ tenantId, ciphertextBlob }: { tenantId: string; ciphertextBlob: Uint8Array }): Named {
  try {
    return { tenantId, keyId: parseEnvelope("data-key", ciphertextBlob).keyId };
  } catch {
    return { tenantId };
  }
}
