/** The credential in use at a provider, with the time at which it was seen first. */
import type { Time } from "../runtime/time.ts";
import type { ProviderCredential } from "./provider.ts";

export interface TrackedCredential {
  current(): ProviderCredential | undefined;
  /**
   * Notes the end of the credential in use, in milliseconds since 1970. One with the same end is the same credential.
   * With undefined, or a number that is no time, there is none to tell of.
   */
  note(untilMs: number | undefined): void;
}

export function trackedCredential(time: Time): TrackedCredential {
  let seen: ProviderCredential | undefined;
  return {
    current: () => seen,
    note(untilMs) {
      const until = new Date(untilMs ?? Number.NaN);
      if (Number.isNaN(until.getTime())) seen = undefined;
      else if (seen?.until.getTime() !== until.getTime()) seen = { since: time.now(), until };
    },
  };
}
