/**
 * What happens to a call, outermost first: one list for each kind of call, whichever transport brings it. What only the transport can do of a
 * stage, its carrier does. The caller is known before: a call has come through the door (authenticate.ts).
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { type Audited, audited, type Handler } from "../audit/audited.ts";
import type { AuditObserver } from "../audit/observer.ts";
import type { MaybePromise } from "../call/maybe-promise.ts";
import type { StreamHandler } from "../call/stream.ts";
import type { Budget } from "./budget.ts";
import { type CallParts, type CallRecorder, callRecorder } from "./call-recorder.ts";
import type { BodyCarrier, CallForm, Form, StreamCarrier, UnaryCarrier } from "./carrier.ts";
import type { Served } from "./services.ts";
import {
  byCaller,
  counted,
  decoded,
  delivered,
  encoded,
  handled,
  inTurn,
  type Next,
  recorded,
  type Stage,
  streamed,
  wholeBody,
} from "./stages.ts";

/** What answers a call. */
export interface Called<In, Out> {
  /** What it is counted and logged as. Without one only its failures are. */
  rpc: DescMethod | undefined;
  audit: Audited<In>;
  handler: Handler<In, Out>;
}

/** What both transports serve, and how. */
export interface Calls {
  services: readonly Served[];
  budget: Budget;
  /** Counts and logs what fails before it is a call. */
  refuse: CallRecorder["refuse"];
  /** The same for whoever is refused at the door, of whom there may be many. */
  refuseStranger: CallRecorder["refuseStranger"];
  /** A rpc with one message each way. */
  unary<Native, Sent, Written>(
    called: Called<never, unknown>,
    form: CallForm<Written>,
    carrier: UnaryCarrier<Native, Sent, Written>,
  ): (native: Native) => MaybePromise<Sent>;
  /** A path of HTTP that is served beside the rpcs, in a form of its own. */
  route<In, Out, Native, Sent>(
    called: Called<In, Out>,
    form: Form<In, Out, Sent, Native>,
    carrier: BodyCarrier<Native>,
  ): (native: Native) => MaybePromise<Sent>;
  /** A rpc with messages both ways. */
  stream<Native>(
    rpc: DescMethod,
    handler: StreamHandler,
    carrier: StreamCarrier<Native>,
  ): (native: Native) => MaybePromise<void>;
}

export interface CallsParts extends CallParts {
  observer: AuditObserver;
  budget: Budget;
}

export function createCalls({ observer, budget, ...parts }: CallsParts): Calls {
  const recorder = callRecorder(parts);
  const { refuse, refuseStranger } = recorder;
  return {
    services: parts.services,
    budget,
    refuse,
    refuseStranger,

    unary: ({ rpc, audit, handler }, form, carrier) =>
      inOrder(
        recorded(recorder, rpc, carrier),
        byCaller(carrier),
        counted(budget, carrier),
        wholeBody(carrier),
        inTurn(),
        decoded(form),
        handled(audited(audit, handler, observer)),
        encoded(form),
        delivered(carrier),
      ),

    route: ({ rpc, audit, handler }, form, carrier) =>
      inOrder(
        recorded(recorder, rpc, carrier),
        byCaller(carrier),
        wholeBody(carrier),
        decoded(form),
        handled(audited(audit, handler, observer)),
        encoded(form),
      ),

    stream: (rpc, handler, carrier) =>
      inOrder(recorded(recorder, rpc, carrier), byCaller(carrier), streamed(handler, carrier)),
  };
}

/** The last stage's value is what is sent. */
function inOrder<Native, Sent>(...stages: Stage<Native>[]): (native: Native) => MaybePromise<Sent> {
  const run = stages.reduceRight<Next<Native>>(
    (next, stage) => stage(next),
    ({ value }) => value,
  );
  return (native) => run({ native, value: undefined, context: undefined, grow: () => {} }) as MaybePromise<Sent>;
}
