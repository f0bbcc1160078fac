/**
 * Distrust of answers, as far as every provider's look the same. A length that no answer has may pass. Lies are found as far as one call, or
 * two of this process, show them: see distrust.ts.
 *
 * Keys that were made lately, and their wrapped forms, are remembered as salted digests. So the call itself finds a key that comes again, and
 * a wrapped key that is opened to other bytes.
 */
import { createHash, randomBytes } from "node:crypto";
import { KmsError } from "../errors.ts";
import { distrusted, ProviderLie } from "./distrust.ts";
import type { DataKey } from "./provider.ts";
import { dataKeyBytes, isPlaintextLength } from "./secrets.ts";

const maxWrappedBytes = 8192;
/** Number of each kind: a replica makes so many keys in an hour at most, except at a first start. */
const remembered = 1_000;
/** Shorter plaintexts are in a ciphertext by chance. */
const leastTellingBytes = 16;

/** Each throws a ProviderLie, or PROVIDER_UNAVAILABLE for what may pass, and overwrites the secret that it does not give back. */
export interface AnswerChecks {
  dataKey(made: DataKey): DataKey;
  wrapped(wrapped: Uint8Array, plaintext: Uint8Array): Uint8Array;
  opened(plaintext: Uint8Array, wrapped: Uint8Array): Uint8Array;
}

/** Checks the answers for one provider key, whichever region serves it. */
export function answerChecks(): AnswerChecks {
  const salt = randomBytes(16);
  const made = new Set<string>();
  /** Digests of wrapped keys, with those of what they must open to. */
  const wraps = new Map<string, string>();
  const digestOf = (bytes: Uint8Array) => createHash("sha256").update(salt).update(bytes).digest("base64");

  function noteWrap(wrapped: Uint8Array, plaintext: Uint8Array): Uint8Array {
    checkWrappedLength(wrapped);
    refusePlaintextIn(wrapped, plaintext);
    wraps.set(digestOf(wrapped), digestOf(plaintext));
    forgetOldest(wraps);
    return wrapped;
  }

  function noteDataKey({ plaintext, wrapped }: DataKey): DataKey {
    if (plaintext.length === 0) throw distrusted("a data key of no bytes");
    if (plaintext.length !== dataKeyBytes) throw new ProviderLie("short-key");
    if (plaintext.every((byte) => byte === 0)) throw new ProviderLie("zero-key");
    const digest = digestOf(plaintext);
    if (made.has(digest)) throw new ProviderLie("repeated-key");
    made.add(digest);
    forgetOldest(made);
    return { plaintext, wrapped: noteWrap(wrapped, plaintext) };
  }

  function asWrapped(plaintext: Uint8Array, wrapped: Uint8Array): Uint8Array {
    if (!isPlaintextLength(plaintext.length)) {
      throw unavailable(`opened a wrapped key to ${plaintext.length} bytes`);
    }
    const known = wraps.get(digestOf(wrapped));
    if (known !== undefined && known !== digestOf(plaintext)) throw new ProviderLie("other-bytes");
    return plaintext;
  }

  return {
    dataKey: (answer) => orOverwrite(answer.plaintext, () => noteDataKey(answer)),
    wrapped: noteWrap,
    opened: (plaintext, wrapped) => orOverwrite(plaintext, () => asWrapped(plaintext, wrapped)),
  };
}

/** Looks in a wrapped key, and in the base64 at the end of one that is text. */
function refusePlaintextIn(wrapped: Uint8Array, plaintext: Uint8Array): void {
  if (plaintext.length < leastTellingBytes) return;
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.length);
  const body = Buffer.from(bytes.subarray(bytes.lastIndexOf(":") + 1).toString("latin1"), "base64");
  if (bytes.includes(plaintext) || body.includes(plaintext)) throw new ProviderLie("plaintext-inside");
}

function checkWrappedLength({ length }: Uint8Array): void {
  if (length >= 1 && length <= maxWrappedBytes) return;
  throw unavailable(`answered with a wrapped key of ${length} bytes`);
}

function forgetOldest(known: Set<string> | Map<string, string>): void {
  if (known.size <= remembered) return;
  for (const oldest of known.keys()) {
    known.delete(oldest);
    return;
  }
}

function orOverwrite<T>(secret: Uint8Array, check: () => T): T {
  try {
    return check();
  } catch (error) {
    secret.fill(0);
    throw error;
  }
}

function unavailable(what: string): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", `the provider ${what}`);
}
