/** SignSpan and VerifySpan: wire bytes in, because span/ reads them in one pass. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Counter } from "@opentelemetry/api";
import {
  VerifyReason,
  type VerifySpanResponse,
  VerifySpanResponseSchema,
} from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Keyring } from "../keys/keyring.ts";
import type { UsableSigningKey } from "../keys/usable.ts";
import { readSignSpanRequest, readVerifySpanRequest } from "../span/request.ts";
import { signSpan } from "../span/sign.ts";
import { claimOf, isClaim, type Reason, type Verdict, verdict } from "../span/verify.ts";
import { type Answer, andThen } from "./answer.ts";
import type { CallContext } from "./context.ts";
import { keyStates } from "./key-names.ts";
import type { KeyTimer } from "./key-timer.ts";
import { encodeSignSpanResponse } from "./sign-span-response.ts";

export interface SigningParts {
  keyring: Keyring;
  keyTimer: KeyTimer;
  spansSigned: Counter;
  clock: () => Date;
}

const individual = { mode: "individual" };

const reasons: Readonly<Record<Reason, VerifyReason>> = {
  OK: VerifyReason.OK,
  SIGNATURE_MISMATCH: VerifyReason.SIGNATURE_MISMATCH,
  SPAN_MISMATCH: VerifyReason.SPAN_MISMATCH,
  UNKNOWN_KEY: VerifyReason.UNKNOWN_KEY,
  KEY_STATE: VerifyReason.KEY_STATE,
  KEY_COMPROMISED: VerifyReason.KEY_COMPROMISED,
  PROOF_INVALID: VerifyReason.PROOF_INVALID,
  MALFORMED: VerifyReason.MALFORMED,
};

export function signingHandlers({ keyring, keyTimer, spansSigned, clock }: SigningParts) {
  return {
    signSpan(request: Uint8Array, call: CallContext): Answer<Uint8Array> {
      const { tenantId, span } = readSignSpanRequest(request);
      const tenant = call.caller.tenant(tenantId);
      const sign = ({ keyId, key }: UsableSigningKey) => {
        const signedAtMs = clock().getTime();
        const by = { tenant, keyId, key };
        const signed = signSpan(span, by, signedAtMs);
        spansSigned.add(1, individual);
        return encodeSignSpanResponse(signed, by, signedAtMs);
      };
      return andThen(
        keyTimer.signing(() => keyring.activeSigningKey(tenant, call)),
        sign,
      );
    },

    verifySpan(request: Uint8Array, call: CallContext): Answer<VerifySpanResponse> {
      const read = readVerifySpanRequest(request);
      const tenant = call.caller.tenant(read.tenantId);
      const claim = claimOf(read);
      if (!isClaim(claim)) return toMessage(claim);
      return andThen(keyring.publicKey(tenant, claim.keyId, call), (key) => toMessage(verdict(claim, key)));
    },
  };
}

function toMessage({ verified, reason, keyId, keyState, signedAt }: Verdict): VerifySpanResponse {
  return create(VerifySpanResponseSchema, {
    verified,
    reason: reasons[reason],
    ...(keyId !== undefined && { keyId }),
    ...(keyState !== undefined && { keyState: keyStates[keyState] }),
    ...(signedAt !== undefined && { signedAt: timestampFromDate(new Date(signedAt)) }),
  });
}
