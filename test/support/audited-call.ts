/** Calls of a service on a machine that may be too slow, under load, to write audit rows in the time that is promised. */
import { setTimeout as pause } from "node:timers/promises";
import { failureOf } from "./running-service.ts";

/** Repeats the call, as its callers would, as long as the service says that it cannot audit it now. */
export async function whenAudited<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if ((await failureOf(Promise.reject(error))).reason !== "AUDIT_UNAVAILABLE") throw error;
      await pause(100);
    }
  }
}
