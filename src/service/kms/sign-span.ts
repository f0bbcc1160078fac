/** SignSpan and VerifySpan, of requests that codec/sign-span.ts has read. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  VerifyReason,
  type VerifySpanResponse,
  VerifySpanResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Keyring } from "../../keys/keyring.ts";
import type { UsableSigningKey } from "../../keys/usable-key.ts";
import { type SignedAnswer, type SignSpanRequest, spanOf } from "../codec/sign-span.ts";
import { signSpan } from "../../attestation/sign-statement.ts";
import { explanations, type Reason, type Verdict } from "../../attestation/verdict.ts";
import { claimOf, isClaim, isLogClaim, type VerifySpanRequest, verdict } from "../../attestation/verify-span.ts";
import { type MaybePromise, andThen } from "../../call/maybe-promise.ts";
import { roleOf } from "../../call/roles.ts";
import type { Used } from "../../audit/audited.ts";
import type { CallContext } from "../../call/context.ts";
import { keyStates } from "../messages.ts";
import type { KeyTimer } from "../key-timer.ts";
import { type LogVerdictParts, logClaimJudge } from "./log-verdict.ts";
import type { Time } from "../../runtime/time.ts";

export interface SigningParts extends Pick<LogVerdictParts, "logs"> {
  keyring: Keyring;
  keyTimer: KeyTimer;
  time: Time;
}

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

export function signingHandlers({ keyring, logs, keyTimer, time }: SigningParts) {
  const judgeLogClaim = logClaimJudge({ keyring, logs });
  return {
    signSpan(request: SignSpanRequest, call: CallContext): MaybePromise<Used<SignedAnswer>> {
      const span = spanOf(request);
      const tenant = call.caller.authorize(request.tenantId, roleOf.signSpan);
      const sign = ({ keyId, key }: UsableSigningKey) => {
        const signedAtMs = time.now().getTime();
        const by = { tenant, keyId, key };
        const signed = signSpan(span, by, signedAtMs);
        return { answer: { signed, by, signedAtMs }, tenantId: tenant, uses: [{ keyId, count: 1 }], items: 1 };
      };
      return andThen(
        keyTimer.signing(() => keyring.activeSigningKey(tenant, call, roleOf.signSpan)),
        sign,
      );
    },

    verifySpan(request: VerifySpanRequest, call: CallContext): MaybePromise<VerifySpanResponse> {
      const tenant = call.caller.authorize(request.tenantId, roleOf.verifySpan);
      const claim = claimOf(request);
      if (isLogClaim(claim)) return judgeLogClaim(claim, tenant, call).then(toMessage);
      if (!isClaim(claim)) return toMessage(claim);
      return andThen(keyring.publicKeys.find(tenant, claim.keyId, call), (key) => toMessage(verdict(claim, key)));
    },
  };
}

function toMessage({ verified, reason, keyId, keyState, signedAt, message }: Verdict): VerifySpanResponse {
  return create(VerifySpanResponseSchema, {
    verified,
    reason: reasons[reason],
    message: message ?? explanations[reason],
    ...(keyId !== undefined && { keyId }),
    ...(keyState !== undefined && { keyState: keyStates[keyState] }),
    ...(signedAt !== undefined && { signedAt: timestampFromDate(new Date(signedAt)) }),
  });
}
