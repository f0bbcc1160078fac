/**
 * SignSpans: a stream of batches, each read, signed and answered in a pool of threads. Of the batches of a stream several are in the pool at
 * once; to a log they are appended in their order, and none behind one that could not be read. Behind one that the log refused others may be
 * stored that are not answered: sent again, their request ids give their places.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { SignSpansResponseSchema } from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { BatchPool } from "../../batch/pool/pool.ts";
import type { LogPosition, ProvenBatch } from "../../batch/prove.ts";
import { invalidField } from "../../errors.ts";
import { unitsOf } from "../../limits/calls.ts";
import type { Keyring } from "../../keys/keyring.ts";
import type { Sequencer } from "../../tenant-log/sequencer.ts";
import { type Batch, readBatch, type SignMode } from "../../batch/request.ts";
import { hashBytes } from "../../tlog/merkle.ts";
import { maxAnswerBytes } from "../../batch/results.ts";
import { roleOf } from "../../call/roles.ts";
import type { AuditObserver } from "../../audit/observer.ts";
import { ruleOf } from "../../audit/rule-of.ts";
import type { CallContext } from "../../call/context.ts";
import type { KeyTimer } from "../key-timer.ts";
import type { Answers, StreamHandler } from "../../call/stream.ts";
import type { Time } from "../../runtime/time.ts";

export interface SignSpansParts {
  keyring: Pick<Keyring, "activeSigningKey">;
  keyTimer: Pick<KeyTimer, "signing">;
  pool: Pick<BatchPool, "sign" | "enter" | "prove">;
  sequencer: Pick<Sequencer, "append">;
  /** Told in seconds of each batch, when its answers begin. */
  batchTook(seconds: number, mode: "individual" | "log"): void;
  observer: AuditObserver;
  time: Time;
}

/** What a stream's first message says and all others share. */
interface Terms {
  tenant: string;
  mode: SignMode;
  withAttributes: boolean;
}

type Sign = (message: Uint8Array, batch: Batch, terms: Terms) => Promise<Answers>;

const action = "sign_span";
/** Modes as metrics name them. */
const counted = { INDIVIDUAL: "individual", LOG: "log" } as const;
/** Units of a batch before it is known how many spans it has. */
const unitsAtFirst = 1;

export function signSpans(parts: SignSpansParts): StreamHandler {
  const { observer, batchTook, time } = parts;
  return (call) => {
    const signers: Record<SignMode, Sign> = { INDIVIDUAL: individual(parts, call), LOG: log(parts, call) };
    let terms: Terms | undefined;
    let failure: { error: unknown } | undefined;

    /** Told once: what comes behind it fails with it. */
    function fail(error: unknown, tenantId = ""): void {
      if (failure !== undefined) return;
      const { caller } = call;
      const rule = tenantId === "" ? undefined : ruleOf(caller, action, tenantId);
      observer.failed({ actor: caller.name, action, rule, ...(tenantId && { tenantId }) }, error);
      failure = { error };
    }

    const { limits } = call.caller;
    return {
      ...(limits && { waitMs: () => limits.waitMs(terms?.tenant) }),
      async take(message) {
        if (failure !== undefined) throw failure.error;
        const startedMs = time.monotonicMs();
        let named: string | undefined;
        try {
          observer.check();
          const batch = readBatch(message);
          named = terms?.tenant ?? batch.tenantId;
          terms = termsOf(batch, terms, call);
          limits?.spend(terms.tenant, unitsAtFirst);
          if (batch.resourceSpans.length === 0) return nothing(batch);
          const answers = await signers[terms.mode](message, batch, terms);
          batchTook((time.monotonicMs() - startedMs) / 1000, counted[terms.mode]);
          return answers;
        } catch (error) {
          fail(error, named);
          throw error;
        }
      },
    };
  };
}

function termsOf(batch: Batch, before: Terms | undefined, { caller }: CallContext): Terms {
  const { tenantId, mode, withAttributes } = batch;
  if (before === undefined) {
    return {
      tenant: caller.authorize(tenantId, roleOf.signSpans, "message"),
      mode: mode ?? "INDIVIDUAL",
      withAttributes,
    };
  }
  caller.authorize(before.tenant, roleOf.signSpans, "message"); // the policy may be another since the batch before
  if (tenantId !== "" && tenantId !== before.tenant) throw another("tenant_id");
  if (mode !== undefined && mode !== before.mode) throw another("mode");
  if (withAttributes && !before.withAttributes) throw another("with_attributes");
  return before;
}

function another(field: string) {
  return invalidField(field, "is another than the stream began with: open a stream for each, or leave it empty");
}

/** A batch without spans makes no key and no log. */
function nothing({ requestId }: Batch): Answers {
  const answer = toBinary(SignSpansResponseSchema, create(SignSpansResponseSchema, { requestId, batchDone: true }));
  return { bytes: answer.length, messages: [answer] };
}

function individual({ keyring, keyTimer, pool, time, ...parts }: SignSpansParts, call: CallContext): Sign {
  return async (message, { requestId }, { tenant, withAttributes }) => {
    const key = await keyTimer.signing(() => keyring.activeSigningKey(tenant, call, roleOf.signSpans));
    const by = { tenant, key, requestId, signedAtMs: time.now().getTime(), withAttributes };
    const { messages, signed } = await pool.sign(message, by);
    writeUse(parts, call, { tenant, keyId: key.keyId, signed, mode: counted.INDIVIDUAL });
    return { bytes: messages.reduce((sum, each) => sum + each.length, 0), messages };
  };
}

function log({ pool, sequencer, time, ...parts }: SignSpansParts, call: CallContext): Sign {
  let before: Promise<unknown> = Promise.resolve();
  return async (message, { requestId }, { tenant, withAttributes }) => {
    const about = (signedAtMs: number) => ({ tenant, requestId, signedAtMs });
    // The pool keeps what it is given. Only a batch with a request id is ever entered again.
    const kept = requestId === "" ? message : Uint8Array.from(message);
    const again = (signedAtMs: number) => pool.enter(Uint8Array.from(kept), about(signedAtMs));
    const entering = pool.enter(message, about(time.now().getTime()));
    const appending = Promise.all([entering, before]).then(([batch]) => ({
      signed: batch.leaves.length / hashBytes,
      placing: sequencer.append(tenant, batch, again, call.caller),
    }));
    before = appending;
    const { signed, placing } = await appending;
    const { batch, place, keyId } = await placing;
    writeUse(parts, call, { tenant, keyId, signed, mode: counted.LOG });
    const proven = withAttributes ? { ...batch, attributesFor: { tenant } } : batch;
    return { bytes: bytesOf(batch), messages: proofs(pool, proven, place) };
  };
}

/** A proof as a result, roughly; in base64, it has a third more. */
const proofBytes = 1536;
/** New nodes of a tree, of which its new leaves are half. */
const nodesALeaf = 2;

/** What is kept of a batch to prove it by, and the message that is on its way. */
function bytesOf({ spans }: ProvenBatch): number {
  return spans * nodesALeaf * hashBytes + Math.min(spans * proofBytes, maxAnswerBytes);
}

async function* proofs(
  pool: Pick<BatchPool, "prove">,
  batch: ProvenBatch,
  place: LogPosition,
): AsyncGenerator<Uint8Array> {
  let from: number | undefined = 0;
  while (from !== undefined) {
    const { message, next }: Awaited<ReturnType<BatchPool["prove"]>> = await pool.prove(batch, place, from);
    yield message;
    from = next;
  }
}

interface Signed {
  tenant: string;
  keyId: string;
  signed: number;
  mode: "individual" | "log";
}

function writeUse(
  { observer }: Pick<SignSpansParts, "observer">,
  { caller }: CallContext,
  { tenant, keyId, signed, mode }: Signed,
): void {
  if (signed === 0) return;
  caller.limits?.spend(tenant, unitsOf(signed) - unitsAtFirst);
  const uses = { tenantId: tenant, uses: [{ keyId, count: signed }], items: signed };
  observer.used({ action, purpose: "signing", counted: mode }, caller, uses);
}
