/**
 * Answers of a provider that are not what was asked for. Most may pass: a proxy, or a server that is not well, may have given them. A few
 * no honest provider gives, however unwell it is; those are lies. After one nothing of its key is believed until a probe passes, see
 * provider-keys/trust.ts.
 */
import { KmsError } from "../errors.ts";

/** Returns PROVIDER_UNAVAILABLE; `what` says why the answer is not believed. */
export function distrusted(what: string): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", `the provider's answer is not to be trusted: ${what}`);
}

const told = {
  "wrong-context": "it opened a wrapped key under another encryption context",
  "tampered-ciphertext": "it opened a wrapped key that was altered",
  "short-key": "it made a data key of another length",
  "zero-key": "it made a data key of zeros",
  "repeated-key": "it made one data key twice",
  "other-key": "it answered for another key",
  "other-bytes": "it opened a wrapped key to other bytes than it wrapped",
  "plaintext-inside": "it wrapped a key to bytes that contain the key",
} as const;

/** Each way in which a provider is caught lying, as metrics and the log name it. */
export type Lie = keyof typeof told;

export const lies = Object.keys(told) as readonly Lie[];

/** PROVIDER_DENIED, because it stays: an answer that is a lie is not asked for again. */
export class ProviderLie extends KmsError {
  readonly lie: Lie;
  /** What the provider did, as in "it made a data key of zeros". */
  readonly what: string;

  constructor(lie: Lie) {
    super("PROVIDER_DENIED", `the provider is not to be trusted: ${told[lie]}`, {
      advice:
        "Find out what answers in the provider's place (endpoint, proxy, server), and what it wrapped meanwhile: docs/KMS_TROUBLESHOOTING.md, `the provider is not to be trusted`. The key is used again once a probe of it passes.",
    });
    this.lie = lie;
    this.what = told[lie];
  }
}
