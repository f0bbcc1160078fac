/** SignSpan and VerifySpan: wire bytes in, because span/ reads them in one pass. */
import { create } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  VerifyReason,
  type VerifySpanResponse,
  VerifySpanResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Keyring } from "../../keys/keyring.ts";
import type { UsableSigningKey } from "../../keys/usable-key.ts";
import { encodeSignSpanResponse, readSignSpanRequest, readVerifySpanRequest } from "../codec/sign-span.ts";
import { signSpan } from "../../attestation/sign-statement.ts";
import { explanations, type Reason, type Verdict } from "../../attestation/verdict.ts";
import { claimOf, isClaim, isLogClaim, verdict } from "../../attestation/verify-span.ts";
import type { Tally } from "../../telemetry.ts";
import { type Answer, andThen } from "../../call/maybe-promise.ts";
import { type AuditObserver, unobserved } from "../../audit/observer.ts";
import type { CallContext } from "../../call/context.ts";
import { keyStates } from "../messages.ts";
import type { KeyTimer } from "../key-timer.ts";
import { type LogVerdictParts, logClaimJudge } from "./log-verdict.ts";

export interface SigningParts extends Pick<LogVerdictParts, "logs"> {
  keyring: Keyring;
  keyTimer: KeyTimer;
  spansSigned: Tally<"individual">;
  clock: () => Date;
  observer?: Pick<AuditObserver, "used">;
}

const signSpanFields = 4;
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

export function signingHandlers({ keyring, logs, keyTimer, spansSigned, clock, observer = unobserved }: SigningParts) {
  const judgeLogClaim = logClaimJudge({ keyring, logs });
  return {
    signSpan(request: Uint8Array, call: CallContext): Answer<Uint8Array> {
      const { tenantId, span } = readSignSpanRequest(request);
      const tenant = call.caller.tenant(tenantId);
      const sign = ({ keyId, key }: UsableSigningKey) => {
        const signedAtMs = clock().getTime();
        const by = { tenant, keyId, key };
        const signed = signSpan(span, by, signedAtMs);
        spansSigned.add(1, "individual");
        observer.used(call.caller.name, "sign_span", tenant, keyId, "signing", 1);
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
      if (isLogClaim(claim)) return judgeLogClaim(claim, tenant, call).then(toMessage);
      if (!isClaim(claim)) return toMessage(claim);
      return andThen(keyring.publicKeys.find(tenant, claim.keyId, call), (key) => toMessage(verdict(claim, key)));
    },
  };
}

/** The tenant that a SignSpan request names, which may be unreadable otherwise; empty where it cannot be found. For refusals alone. */
export function tenantOfSignSpan(request: Uint8Array): string {
  try {
    const reader = new BinaryReader(request);
    // A request that can be read has each of its fields once.
    for (let field = 0; field < signSpanFields && reader.pos < reader.len; field++) {
      const [number, type] = reader.tag();
      if (number === 1 && type === WireType.LengthDelimited) return reader.string();
      reader.skip(type, number);
    }
  } catch {} // what it says of the request, the refusal says already
  return "";
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
