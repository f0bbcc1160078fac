/**
 * One provider over the places that serve the same key, in order of preference: a call goes to the next place only where one is
 * unavailable. A place that says no has answered, and no other is asked.
 */
import { hasCode, KmsError } from "../errors.ts";
import { cancelled } from "../runtime/deadline.ts";
import type { Provider, ProviderKeyReport, Regions } from "./provider.ts";

import { answerChecks } from "./answer-checks.ts";
import { defaultResilience } from "./call-policies.ts";
import { type ResilienceOptions, type ResilientProvider, resilient } from "./resilience.ts";

/** How long a place is waited for that has another behind it, and how often in a row until it is passed over at once. */
const hastyAttemptMs = 1_000;
const hastyBreakAfter = 3;

/** The places behind one Provider, each with a resilience layer of its own. */
export function dependable(places: Regions, options: ResilienceOptions): ResilientProvider {
  if (places.length === 1) return resilient(places[0], options);
  const { attemptTimeoutMs, breakAfter } = { ...defaultResilience, ...options };
  const hasty = {
    ...options,
    maxRetries: 0,
    attemptTimeoutMs: Math.min(hastyAttemptMs, attemptTimeoutMs),
    breakAfter: Math.min(hastyBreakAfter, breakAfter),
  };
  const last = places.length - 1;
  const checks = answerChecks();
  return failover(places.map((place, index) => resilient(place, index === last ? options : hasty, checks)));
}

/** Its region is that of the place that last answered. */
export function failover(places: readonly ResilientProvider[]): ResilientProvider {
  const [first] = places as [ResilientProvider];
  let inUse = first;

  async function inOrder<T>(call: (place: Provider) => Promise<T>): Promise<T> {
    let failure: unknown;
    for (const place of places) {
      try {
        const answer = await call(place);
        inUse = place;
        return answer;
      } catch (error) {
        if (!hasCode(error, "PROVIDER_UNAVAILABLE")) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  return {
    name: first.name,
    keyId: first.keyId,
    get region() {
      return inUse.region;
    },
    wrapsForAnyone: first.wrapsForAnyone,
    generateDataKey: (context, signal) => inOrder((place) => place.generateDataKey(context, signal)),
    encrypt: (plaintext, context, signal) => inOrder((place) => place.encrypt(plaintext, context, signal)),
    decrypt: (wrapped, context, signal) => inOrder((place) => place.decrypt(wrapped, context, signal)),
    tampered: (wrapped) => first.tampered(wrapped),
    describe: (signal) => inOrder((place) => place.describe(signal)),
    /** Of the place that a call would be answered by; what is wrong with the others, which nobody notices before they are needed, is advice. */
    async inspect(signal) {
      const found = await Promise.allSettled(places.map((place) => place.inspect(signal)));
      const answers = found.findIndex(
        (each) => each.status === "fulfilled" || !hasCode(each.reason, "PROVIDER_UNAVAILABLE"),
      );
      const answer = found.at(answers)!; // of the last place where none answers
      if (answer.status === "rejected") throw signal?.aborted ? cancelled(signal) : answer.reason;
      inUse = places[answers]!;
      const others = found.map((each, index) => (index === answers ? [] : adviceOn(places[index]!, each)));
      return { ...answer.value, advice: [...answer.value.advice, ...others.flat()] };
    },
    async close() {
      await Promise.all(places.map((place) => place.close()));
    },
    breakers: () => places.flatMap((place) => place.breakers()),
    /** The place in use has the one that counts: a place that is not called lets its credential end. */
    credential: () => inUse.credential?.(),
  };
}

function adviceOn({ name, region = name }: Provider, found: PromiseSettledResult<ProviderKeyReport>): string[] {
  const about = (text: string) => `In ${region}: ${text}`;
  if (found.status === "fulfilled") {
    const { state, detail, advice, rotationAdvice } = found.value;
    const onRotation = rotationAdvice === undefined ? [] : [rotationAdvice];
    return [...(state === "enabled" ? [] : [`the key is ${detail}.`]), ...advice, ...onRotation].map(about);
  }
  const { reason } = found;
  if (!(reason instanceof KmsError)) throw reason;
  return [about(reason.advice === undefined ? `${reason.message}.` : `${reason.message}: ${reason.advice}`)];
}
