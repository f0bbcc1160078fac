/** The stages of pipeline.ts. Each is given the rest of the call, and runs it within or after its own work. */
import type { DescMethod } from "@bufbuild/protobuf";
import type { Handler } from "../audit/audited.ts";
import type { CallContext } from "../call/context.ts";
import type { MaybePromise } from "../call/maybe-promise.ts";
import type { StreamHandler } from "../call/stream.ts";
import { heavyTurn } from "../runtime/turns/loop.ts";
import type { Budget } from "./budget.ts";
import type { CallRecorder } from "./call-recorder.ts";
import type { BodyCarrier, Carrier, Form, Grow, StreamCarrier, UnaryCarrier } from "./carrier.ts";

/** A call on its way. */
export interface Passing<Native> {
  readonly native: Native;
  /** The message of the request, then what each stage makes of it: in the end, what is sent. */
  value: unknown;
  /** Known once the caller is. */
  context: CallContext | undefined;
  grow: Grow;
}

export type Next<Native> = (call: Passing<Native>) => MaybePromise<unknown>;
export type Stage<Native> = (next: Next<Native>) => Next<Native>;

/** A span, an entry in the metrics and a line in the log. Without a rpc, of failures alone. */
export function recorded<Native>(
  recorder: CallRecorder,
  rpc: DescMethod | undefined,
  carrier: Carrier<Native> & Pick<UnaryCarrier<Native, unknown, never>, "told">,
): Stage<Native> {
  if (rpc === undefined) return (next) => refusing(next, (_, error) => recorder.refuse(undefined, error));
  const { header, told } = carrier;
  return (next) => {
    const run = told ? refusingLate(next, told) : next;
    return (call) =>
      recorder.run(
        rpc,
        (name) => header(call.native, name),
        () => run(call),
      );
  };
}

type Refuse<Native> = (native: Native, error: unknown) => unknown;

function refusing<Native>(next: Next<Native>, refuse: Refuse<Native>): Next<Native> {
  const late = refusingLate(next, refuse);
  return (call) => {
    try {
      return late(call);
    } catch (error) {
      throw refuse(call.native, error);
    }
  };
}

function refusingLate<Native>(next: Next<Native>, refuse: Refuse<Native>): Next<Native> {
  return (call) => {
    const answer = next(call);
    if (!(answer instanceof Promise)) return answer;
    return answer.catch((error) => {
      throw refuse(call.native, error);
    });
  };
}

/** Who calls, as the door has found out. */
export function byCaller<Native>({ context }: Carrier<Native>): Stage<Native> {
  return (next) => (call) => {
    call.context = context(call.native);
    return next(call);
  };
}

/** What the call holds counts in the budget of all; one that does not fit is refused. */
export function counted<Native>(
  budget: Budget,
  carrier: Pick<UnaryCarrier<Native, unknown>, "heldBytes" | "heldUntil">,
): Stage<Native> {
  return (next) => (call) => {
    const within = (grow: Grow) => {
      call.grow = grow;
      return next(call);
    };
    return budget.hold(carrier.heldBytes(call.native), within, carrier.heldUntil?.(call.native));
  };
}

export function wholeBody<Native>({ body }: BodyCarrier<Native>): Stage<Native> {
  return step((_, { native, grow }) => body(native, grow));
}

/** Bytes of a message whose decoding takes long enough for others to notice. */
export const largeBytes = 16 * 1024;

/** A large message waits for its turn, so that many of one connection leave time for others between. */
export function inTurn<Native>(): Stage<Native> {
  return step((bytes: Uint8Array, { context }) => {
    if (bytes.length < largeBytes) return bytes;
    return heavyTurn(context!.connection ?? context, context!).then(() => bytes);
  });
}

export function decoded<In, Native>({ decode }: Form<In, never, unknown, Native>): Stage<Native> {
  return step((bytes: Uint8Array, { native }) => decode(bytes, native));
}

/** What the method itself does. */
export function handled<In, Native>(handler: Handler<In>): Stage<Native> {
  return step((request: In, { context }) => handler(request, context!));
}

export function encoded<Out, Native>({ encode }: Form<unknown, Out, unknown, Native>): Stage<Native> {
  return step((answer: Out, { native }) => encode(answer, native));
}

export function delivered<Native, Written>({ deliver }: UnaryCarrier<Native, unknown, Written>): Stage<Native> {
  return step((answer: Written, { native }) => deliver(native, answer));
}

/** Messages both ways, until the stream ends. */
export function streamed<Native>(handler: StreamHandler, { serve }: StreamCarrier<Native>): Stage<Native> {
  return step((_, { native, context }) => serve(native, handler(context!)));
}

/** Work on the call's value, before the rest. At once if it can be: a promise costs more than a cached key. */
function step<Value, Native>(work: (value: Value, call: Passing<Native>) => unknown): Stage<Native> {
  return (next) => (call) => {
    const made = work(call.value as Value, call);
    if (made instanceof Promise) {
      return made.then((value) => {
        call.value = value;
        return next(call);
      });
    }
    call.value = made;
    return next(call);
  };
}
