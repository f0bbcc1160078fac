/** For those who tell how the service is: a store that hangs must not hang what says so. */
import { KmsError } from "../errors.ts";

const answerWithinMs = 3_000;

/** STORE_UNAVAILABLE where the store's answer takes longer. */
export async function inTime<T>(answer: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const tooLong = new KmsError("STORE_UNAVAILABLE", `no answer within ${answerWithinMs / 1_000} s`);
  const timer = setTimeout(() => reject(tooLong), answerWithinMs).unref();
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
