/**
 * Answers of a provider that are not what was asked for. They may pass: a proxy, or a server that is not well, may have
 * given them.
 */
import { KmsError } from "../errors.ts";

/** Returns PROVIDER_UNAVAILABLE; `what` says why the answer is not believed. */
export function distrusted(what: string): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", `the provider's answer is not to be trusted: ${what}`);
}
