/** The handlers of fluo.kms.v1.KmsService, one a call, shared by both transports. */
import type { DescMethodUnary, MessageShape } from "@bufbuild/protobuf";
import type { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import type { Answer } from "./answer.ts";
import type { CallContext } from "./context.ts";
import { type DataKeyParts, dataKeyHandlers } from "./data-key.ts";
import { type PiiParts, piiHandlers } from "./pii.ts";
import { type PublicKeyParts, publicKeyHandlers } from "./public-keys.ts";
import { type RotateParts, rotateHandlers } from "./rotate.ts";
import { type SigningParts, signingHandlers } from "./signing.ts";
import { type StatusParts, statusHandlers } from "./status.ts";
import { type ValidateParts, validateHandlers } from "./validate.ts";

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
};

export type KmsParts = DataKeyParts &
  PiiParts &
  PublicKeyParts &
  RotateParts &
  SigningParts &
  StatusParts &
  ValidateParts;

export function kmsHandlers(parts: KmsParts): KmsHandlers {
  return {
    ...dataKeyHandlers(parts),
    ...piiHandlers(parts),
    ...publicKeyHandlers(parts),
    ...rotateHandlers(parts),
    ...signingHandlers(parts),
    ...statusHandlers(parts),
    ...validateHandlers(parts),
  };
}
