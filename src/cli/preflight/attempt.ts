/** Work that may fail without ending the command: what it gave, or why not, in words that hold no secret. */
import { realTime } from "../../runtime/time.ts";
import { KmsError } from "../../errors.ts";
import { withDeadline } from "../../runtime/deadline.ts";
import { Failure, UsageError } from "../command.ts";
import { withAdvice } from "../failures.ts";

export type Tried<T> = { got: T } | { why: string };

/** Throws UsageError alone, for what the caller gave is wrong. */
export async function attempt<T>(ms: number, work: () => Promise<T>): Promise<Tried<T>> {
  const late = () => new Failure(`no answer within ${ms / 1_000} s`);
  try {
    return { got: await withDeadline(realTime, ms, late, work) };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    return { why: wordsOf(error) };
  }
}

/** Another's error may hold anything, the URL of a database too. */
function wordsOf(error: unknown): string {
  if (error instanceof KmsError) return withAdvice(error);
  return error instanceof Failure ? error.message.split("\n").join("; ") : "internal error";
}
