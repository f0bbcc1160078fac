/** Tables of what the server of a provider answers, and how they are held against the provider. */
import { inspect } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { thrownBy } from "../support/matchers.ts";

export const context = { tenant_id: "acme", purpose: "data", key_id: "00112233445566778899aabbccddeeff" };

/** `says` is part of what a caller is told, `advice` of what an operator is told; undefined for nothing, empty for anything. */
export interface Verdict {
  code: KmsErrorCode;
  says: string;
  advice: string | undefined;
}

export const denied = (says: string, advice = ""): Verdict => ({ code: "PROVIDER_DENIED", says, advice });
export const unavailable = (says: string, advice?: string): Verdict => ({ code: "PROVIDER_UNAVAILABLE", says, advice });
export const verdicts = {
  rejected: { code: "CIPHERTEXT_REJECTED", says: "ciphertext rejected", advice: undefined } as Verdict,
  cannot: unavailable("cannot answer now"),
  unreadable: unavailable("cannot be read"),
  unreachable: unavailable("cannot be reached"),
  untrusted: unavailable("not to be trusted"),
  /** What no honest provider answers. */
  lie: denied("not to be trusted", "the provider is not to be trusted"),
};

/** Secrets in answers, which no error may carry, its cause included. */
export const html = "<html><body>Secret-looking words</body></html>";
export const halfSecret = "c2VjcmV0";

/** `logs` is part of the cause, and in nothing that a caller is told. */
export type AnswerRow<Answer, Operation> = readonly [
  what: string,
  answer: Answer,
  verdict: Verdict,
  operation?: Operation | undefined,
  logs?: string,
];

/** Calls of a provider on a fake, and the fake by the provider's operations. */
export interface Place<Answer, Operation extends string> {
  calls: Readonly<Record<Operation, (signal?: AbortSignal) => Promise<unknown>>>;
  /** The next request of the operation is answered so. */
  once(answer: Answer, operation: Operation): void;
  count(operation: Operation): number;
  called(operation: Operation, times: number): Promise<void>;
  /** Resolves when no connection is left. */
  left(): Promise<void>;
  /** Expectations of each error beside those of its row, whose advice may have words of the place. */
  expectMore?(error: KmsError): void;
  advice?(words: string): string;
}

export interface AnswersOptions<Answer, Operation extends string> {
  rows: readonly AnswerRow<Answer, Operation>[];
  /** Of rows that name none. */
  usual: Operation;
  /** Answers that never end. */
  hangs: readonly Answer[];
  make(): Promise<Place<Answer, Operation>>;
}

/** Expects one request a call, whatever the answer: by its code alone resilience.test.ts then says for all providers what is asked again. */
export function answersOf<Answer, Operation extends string>(
  who: string,
  { rows, usual, hangs, make }: AnswersOptions<Answer, Operation>,
): void {
  describe(`${who} answers with`, () => {
    let place: Place<Answer, Operation>;
    beforeAll(async () => {
      place = await make();
    });

    it.each(
      rows.map(([what, answer, verdict, operation = usual, logs]) => ({ what, answer, operation, logs, ...verdict })),
    )("$what ($operation): $code", async ({ answer, operation, code, says, advice, logs }) => {
      const { calls, once, count, expectMore, advice: named = (words) => words } = place;
      const before = count(operation);
      once(answer, operation);
      const error = (await thrownBy(() => calls[operation]())) as KmsError;
      expect(error).toBeKmsError(code, says);
      if (advice === undefined) expect(error.advice).toBeUndefined();
      else expect(error.advice ?? "").toContain(named(advice));
      expect(count(operation) - before).toBe(1);
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/Secret-looking|c2VjcmV0/);
      if (logs !== undefined) {
        expect(String(error.cause)).toContain(logs);
        expect(error.message).not.toContain(logs);
      }
      expectMore?.(error);
      await calls[operation]();
    });

    it.each(hangs)(
      "%s: the call ends with its signal, and so does its connection, and the next one is well",
      async (hang) => {
        const { calls, once, count, called, left } = place;
        for (const operation of Object.keys(calls) as Operation[]) {
          const caller = new AbortController();
          const before = count(operation);
          once(hang, operation);
          const ended = thrownBy(() => calls[operation](caller.signal));
          await called(operation, before + 1);
          caller.abort(new KmsError("DEADLINE_EXCEEDED", "the deadline has passed"));
          expect([operation, await ended]).toEqual([operation, expect.objectContaining({ code: "DEADLINE_EXCEEDED" })]);
          await left();
          await calls[operation]();
        }
      },
    );
  });
}
