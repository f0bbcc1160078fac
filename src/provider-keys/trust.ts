/**
 * Whether a provider key is believed. One that was caught in a lie is not, until a probe of it passes that began after it was caught: that
 * its provider describes it as well says nothing. While it is not believed it is probed again every 10 s.
 */
import { ProviderLie } from "../provider/distrust.ts";
import type { Time, Timer } from "../runtime/time.ts";

export interface Caught {
  lie: ProviderLie;
  since: Date;
  /** When a probe last passed: from then on the provider may have lied. Undefined if none has, in this process. */
  trustedUntil: Date | undefined;
}

/** An error is why the probe showed nothing. */
export type ProbeOutcome = "passed" | "caught" | Error;

export interface KeyTrust {
  /** Undefined while the key is believed. */
  caught(): Caught | undefined;
  accuse(lie: ProviderLie): void;
  /** Probes now; one at a time, whoever asks. Never rejects. */
  probe(): Promise<ProbeOutcome>;
  /** Something was not as it should be, which may be the provider's doing: has it probed soon, at most every 10 s. */
  doubt(): void;
  stop(): void;
}

export interface KeyTrustOptions {
  /** Throws a ProviderLie for a lie, and any other error if nothing was shown. */
  probe(signal: AbortSignal): Promise<void>;
  /** Called when the key is believed no more, or again, or was caught in another lie. */
  changed(): void;
  time: Time;
  retryMs: number;
}

export function createTrust({ probe, changed, time, retryMs }: KeyTrustOptions): KeyTrust {
  const stopped = new AbortController();
  let caught: Caught | undefined;
  let passedAt: Date | undefined;
  /** Lies that this process met. A probe clears only those that it began after. */
  let accusations = 0;
  let probing: Promise<ProbeOutcome> | undefined;
  let beganMs = Number.NEGATIVE_INFINITY;
  let timer: Timer | undefined;

  function accuse(lie: ProviderLie): void {
    accusations += 1;
    const isKnown = caught?.lie.lie === lie.lie;
    if (!isKnown) caught = { lie, since: caught?.since ?? time.now(), trustedUntil: passedAt };
    probeIn(retryMs);
    if (!isKnown) changed();
  }

  function probeIn(ms: number): void {
    if (stopped.signal.aborted) return;
    timer ??= time.after(ms, () => {
      timer = undefined;
      void probeNow();
    });
  }

  function probeNow(): Promise<ProbeOutcome> {
    if (probing !== undefined) return probing;
    time.clear(timer);
    timer = undefined;
    probing = probeOnce().finally(() => {
      probing = undefined;
      if (caught !== undefined) probeIn(retryMs);
    });
    return probing;
  }

  async function probeOnce(): Promise<ProbeOutcome> {
    const before = accusations;
    beganMs = time.monotonicMs();
    const beganAt = time.now();
    try {
      await probe(stopped.signal);
    } catch (error) {
      if (!(error instanceof ProviderLie)) return error instanceof Error ? error : new Error(String(error));
      if (stopped.signal.aborted) return error;
      accuse(error);
      return "caught";
    }
    if (accusations !== before) return "caught";
    passedAt = beganAt;
    if (caught !== undefined) {
      caught = undefined;
      changed();
    }
    return "passed";
  }

  return {
    caught: () => caught,
    accuse,
    probe: probeNow,
    doubt: () => probeIn(Math.max(0, beganMs + retryMs - time.monotonicMs())),
    stop() {
      stopped.abort();
      time.clear(timer);
    },
  };
}
