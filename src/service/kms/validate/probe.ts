/**
 * A row of tests that build on one another, for Validate. A test that failed hides no cause: what builds on it fails without being
 * tried, and names the one that failed first.
 */
import { create } from "@bufbuild/protobuf";
import type { Time } from "../../../runtime/time.ts";
import { Outcome, type ValidationTest, ValidationTestSchema } from "../../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { hasCode, KmsError, type KmsErrorCode } from "../../../errors.ts";
import { ProviderLie } from "../../../provider/distrust.ts";
import { refuseAborted, withDeadline } from "../../../runtime/deadline.ts";

/** What a test gave, or the name of the test that failed first. */
export type Tried<T> = { ok: true; value: T } | { ok: false; cause: string };

type Values<On extends readonly Tried<unknown>[]> = { [I in keyof On]: On[I] extends Tried<infer T> ? T : never };

export type Attempt<On extends readonly Tried<unknown>[], T> = (
  given: Values<On>,
  signal: AbortSignal,
) => T | Promise<T>;

export interface Probe {
  /** Runs a test on what others gave. Throws only what ended the call itself. */
  test<const On extends readonly Tried<unknown>[], T>(name: string, on: On, run: Attempt<On, T>): Promise<Tried<T>>;
  /** A test that asks the provider: for a limited time, and not at all once another got no answer. */
  ask<const On extends readonly Tried<unknown>[], T>(name: string, on: On, run: Attempt<On, T>): Promise<Tried<T>>;
  /** In the order in which they ran. */
  readonly tests: readonly ValidationTest[];
  /** Whether one failed because the provider lied. */
  readonly sawLie: boolean;
  /** What is to be done about those that failed. */
  readonly advice: readonly string[];
}

export interface ProbeOptions {
  /** The caller's. */
  signal: AbortSignal;
  /** Told of an error that is a bug. */
  unexpected?: ((error: unknown) => void) | undefined;
  /** For one test that asks the provider. */
  answerWithinMs?: number | undefined;
  time: Time;
}

const noAnswer: readonly KmsErrorCode[] = ["PROVIDER_UNAVAILABLE", "DEADLINE_EXCEEDED"];

const silenceAdvice =
  "The provider gives no answer: see to it, and to the way there from this machine (name, network, proxy). Cached keys are served on for kms.cache.ttl and kms.cache.max-stale.";

export function createProbe({ signal, unexpected = () => {}, answerWithinMs = 5_000, time }: ProbeOptions): Probe {
  const tests: ValidationTest[] = [];
  const advice: string[] = [];
  let sawLie = false;
  let silent: Tried<never> | undefined;
  const late = () =>
    new KmsError("DEADLINE_EXCEEDED", `the provider gave no answer within ${answerWithinMs / 1_000} s`);

  const test: Probe["test"] = (name, on, run) => attempt(name, on, run, () => {});

  async function attempt<const On extends readonly Tried<unknown>[], T>(
    name: string,
    on: On,
    run: Attempt<On, T>,
    failed: (error: unknown) => void,
  ): Promise<Tried<T>> {
    const startedMs = time.monotonicMs();
    const note = (outcome: Outcome, message: string) =>
      tests.push(create(ValidationTestSchema, { name, outcome, message, latencyMs: time.monotonicMs() - startedMs }));
    const missing = on.find((each) => !each.ok);
    if (missing !== undefined) {
      note(Outcome.FAIL, `not tried: ${missing.cause} failed`);
      return missing;
    }
    try {
      const value = await run(on.map((each) => each.ok && each.value) as Values<On>, signal);
      note(Outcome.PASS, "");
      return { ok: true, value };
    } catch (error) {
      refuseAborted(signal);
      const isOurs = error instanceof KmsError;
      if (!isOurs) unexpected(error);
      if (error instanceof ProviderLie) sawLie = true;
      note(Outcome.FAIL, isOurs ? `${error.code}: ${error.message}` : "internal error: see the log of the service");
      if (isOurs && error.advice !== undefined) advice.push(error.advice);
      failed(error);
      return { ok: false, cause: name };
    }
  }

  return {
    tests,
    get sawLie() {
      return sawLie;
    },
    advice,
    test,
    async ask(name, on, run) {
      const isTriedInVain = silent !== undefined && on.every(({ ok }) => ok);
      if (isTriedInVain) return test(name, [silent!], () => undefined as never);
      return attempt(
        name,
        on,
        (given) => withDeadline(time, answerWithinMs, late, (limit) => run(given, AbortSignal.any([signal, limit]))),
        (error) => {
          if (!hasCode(error, ...noAnswer)) return;
          silent = { ok: false, cause: name };
          if (error.advice === undefined) advice.push(silenceAdvice);
        },
      );
    },
  };
}

/** Passes if `run` is refused as every authenticity failure is. Fails with any other error, or with `accepted` if it is not refused. */
export function mustReject<Given extends unknown[]>(
  run: (...given: Given) => unknown,
  accepted = new KmsError("INTERNAL", "was accepted and must be refused"),
) {
  return async (...given: Given): Promise<void> => {
    try {
      await run(...given);
    } catch (error) {
      if (hasCode(error, "CIPHERTEXT_REJECTED")) return;
      throw error;
    }
    throw accepted;
  };
}

export function expectTrue(holds: boolean): void {
  if (!holds) throw new KmsError("INTERNAL", "gave another answer than it must");
}

export function expectSame(got: Uint8Array, expected: Uint8Array): void {
  expectTrue(Buffer.compare(got, expected) === 0);
}
