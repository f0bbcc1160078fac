/**
 * One span, one histogram entry and one log line a call, whichever transport it came by. Every error leaves here as a
 * KmsError; what was not one is logged with its stack.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import {
  type Attributes,
  type Context,
  type Histogram,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
} from "@opentelemetry/api";
import type { Logger } from "pino";
import { endingWith, type MaybePromise } from "../call/maybe-promise.ts";
import { hasCode, KmsError, RpcCode, rpcCode } from "../errors.ts";
import type { Time } from "../runtime/time.ts";
import type { Instruments, Outcome } from "../telemetry/instruments.ts";
import { rpcPath, type Served } from "./services.ts";
import { outcomeOf, toKmsError } from "./error-status.ts";

export interface CallRecorder {
  /** Runs one call. `header` reads a header of the request, for the trace context. */
  run<T>(method: DescMethod, header: (name: string) => string | undefined, call: () => T | Promise<T>): T | Promise<T>;
  /**
   * Counts and logs a call that failed before it could run: its request does not parse, say. Returns what to answer.
   * Without a method it is counted as unknown: a caller could make up any number of names. `arrivedMs` is when it came, by
   * `Time.monotonicMs()`, if that was not just now.
   */
  refuse(method: DescMethod | undefined, thrown: unknown, arrivedMs?: number): KmsError;
  /** The same for whoever is refused at the door: at most 10 are logged in a second, and how many were not. */
  refuseStranger(
    method: DescMethod | undefined,
    error: KmsError,
    about: Readonly<Record<string, string>>,
    arrivedMs?: number,
  ): KmsError;
}

export interface CallParts {
  instruments: Instruments;
  tracer: Tracer | undefined;
  log: Logger;
  time: Time;
  services: readonly Served[];
}

const codeName = Object.fromEntries(Object.entries(RpcCode).map(([name, code]) => [code, name]));

export function callRecorder({ instruments, tracer, log, time, services }: CallParts): CallRecorder {
  const metricsOf = callMetrics(instruments, services);

  function succeeded(method: DescMethod, startedMs: number): void {
    const { duration, ok, outcomes } = metricsOf(method);
    const seconds = (time.monotonicMs() - startedMs) / 1000;
    duration.record(seconds, ok);
    outcomes.ok += 1;
    if (log.isLevelEnabled("debug")) log.debug({ method: method.name, seconds }, "call answered");
  }

  const tell = failureTeller(log, time);

  function count(method: DescMethod | undefined, startedMs: number, error: KmsError) {
    const { name, isStream, duration, outcomes, errors } = metricsOf(method);
    const code = codeName[rpcCode[error.code]] as string;
    const seconds = (time.monotonicMs() - startedMs) / 1000;
    duration.record(seconds, { rpc_method: name, rpc_response_status_code: code });
    outcomes[outcomeOf(error, { seconds, isStream })] += 1;
    errors[code]! += 1;
    return { method: name, code, reason: error.code, seconds };
  }

  function failed(method: DescMethod | undefined, startedMs: number, thrown: unknown): KmsError {
    const error = toKmsError(thrown);
    const line = count(method, startedMs, error);
    if (error.code === "INTERNAL") log.error({ ...line, err: error.cause ?? error }, "call failed: a bug");
    else tell(error, { ...line, cause: causeText(error) });
    return error;
  }

  function run<T>(method: DescMethod, call: () => T | Promise<T>): T | Promise<T> {
    const startedMs = time.monotonicMs();
    try {
      const answer = call();
      if (!(answer instanceof Promise)) {
        succeeded(method, startedMs);
        return answer;
      }
      return answer.then(
        (value) => {
          succeeded(method, startedMs);
          return value;
        },
        (thrown) => {
          throw failed(method, startedMs, thrown);
        },
      );
    } catch (thrown) {
      throw failed(method, startedMs, thrown);
    }
  }

  const strangers = linesPerSecond(10, time);
  const refuseStranger: CallRecorder["refuseStranger"] = (method, error, about, arrivedMs = time.monotonicMs()) => {
    if (error.code === "INTERNAL") return failed(method, arrivedMs, error);
    const line = count(method, arrivedMs, error);
    const unlogged = strangers();
    if (unlogged === undefined) return error;
    log.info({ ...line, ...about, ...(unlogged > 0 && { unlogged }) }, `refused: ${error.inLog}`);
    return error;
  };

  const refuse: CallRecorder["refuse"] = (method, thrown, arrivedMs = time.monotonicMs()) =>
    failed(method, arrivedMs, thrown);
  const record = <T>(method: DescMethod, call: () => T | Promise<T>) =>
    method.methodKind === "unary" ? run(method, call) : whileOpen(instruments, () => run(method, call));
  if (!tracer) return { run: (method, _header, call) => record(method, call), refuse, refuseStranger };
  return {
    refuse,
    refuseStranger,
    run(method, header, call) {
      const parent = propagation.extract(ROOT_CONTEXT, header, { get: (get, name) => get(name), keys: () => [] });
      return traced(tracer, parent, method, () => record(method, call));
    },
  };
}

/** What a rpc's calls are counted in. */
interface MethodMetrics {
  name: string;
  isStream: boolean;
  duration: Histogram;
  /** Labels of the duration of a call that succeeded. */
  ok: Attributes;
  outcomes: Record<Outcome, number>;
  errors: Record<string, number>;
}

/** Metrics by method, or of none that is known. They are there from the first export. */
function callMetrics(instruments: Instruments, services: readonly Served[]) {
  const unknown = metricsNamed("unknown", false, instruments);
  const known = new Map<DescMethod, MethodMetrics>();
  const ofMethod = (method: DescMethod): MethodMetrics => {
    const made = metricsNamed(method.name, method.methodKind !== "unary", instruments);
    known.set(method, made);
    return made;
  };
  for (const { service } of services) service.methods.forEach(ofMethod);
  return (method: DescMethod | undefined) => (method ? (known.get(method) ?? ofMethod(method)) : unknown);
}

function metricsNamed(name: string, isStream: boolean, instruments: Instruments): MethodMetrics {
  return {
    name,
    isStream,
    duration: isStream ? instruments.streamDuration : instruments.callDuration,
    ok: { rpc_method: name, rpc_response_status_code: "OK" },
    outcomes: instruments.calls.row(name),
    errors: instruments.errors.row(name),
  };
}

function whileOpen<T>({ streams }: Instruments, stream: () => MaybePromise<T>): MaybePromise<T> {
  streams.add(1);
  return endingWith(stream, () => streams.add(-1));
}

/** Logs a call that failed, unless it is one of many that are refused for load: of those 10 a second, and how many were left out. */
function failureTeller(log: Logger, time: Time) {
  const forLoad = linesPerSecond(10, time);
  return (error: KmsError, line: object): void => {
    const unlogged = hasCode(error, "OVERLOADED", "RATE_LIMITED") ? forLoad() : 0;
    if (unlogged === undefined) return;
    log.info({ ...line, ...(unlogged > 0 && { unlogged }) }, `call failed: ${error.inLog}`);
  };
}

/** How many lines were left out before this one; undefined where it is left out itself. */
function linesPerSecond(most: number, time: Time): () => number | undefined {
  let [sinceMs, lines, left] = [time.monotonicMs(), 0, 0];
  return () => {
    if (time.monotonicMs() - sinceMs >= 1_000) [sinceMs, lines] = [time.monotonicMs(), 0];
    if (lines >= most) {
      left += 1;
      return undefined;
    }
    lines += 1;
    const before = left;
    left = 0;
    return before;
  };
}

async function traced<T>(tracer: Tracer, parent: Context, method: DescMethod, call: () => T | Promise<T>): Promise<T> {
  const name = rpcPath(method);
  const options = { kind: SpanKind.SERVER, attributes: { "rpc.system.name": "grpc", "rpc.method": name } };
  return tracer.startActiveSpan(name, options, parent, async (span) => {
    try {
      return await call();
    } catch (error) {
      const code = error instanceof KmsError ? (codeName[rpcCode[error.code]] as string) : "INTERNAL";
      span.setAttribute("rpc.response.status_code", code);
      if (code === "INTERNAL" || code === "UNAVAILABLE" || code === "DATA_LOSS")
        span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** The cause of an error of ours, for the log. Not of a malformed request: a parser's words may quote what it could not read. */
function causeText(error: KmsError): string | undefined {
  if (error.code === "INVALID_ARGUMENT") return undefined;
  return error.cause instanceof Error ? `${error.cause.name}: ${error.cause.message}` : undefined;
}
