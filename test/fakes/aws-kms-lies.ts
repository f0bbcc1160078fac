/**
 * The ways in which the fake AWS KMS lies when it is told to. It remembers what each blob holds, so that it can open one that its own
 * cryptography would refuse.
 */
import { randomBytes } from "node:crypto";
import type { Lie } from "../../src/provider/distrust.ts";

type Answer = Record<string, unknown>;

export interface Liar {
  /** `honest` gives the right answer, or throws it. */
  answer(lie: Lie | undefined, operation: string, input: Answer, honest: () => Answer): Answer;
}

export function createLiar(): Liar {
  /** Base64 of a blob to base64 of what it holds. */
  const held = new Map<string, string>();
  let repeated: Answer | undefined;

  function remember(input: Answer, answer: Answer): Answer {
    const plaintext = answer.Plaintext ?? input.Plaintext;
    if (answer.CiphertextBlob !== undefined) held.set(String(answer.CiphertextBlob), String(plaintext));
    return answer;
  }

  /** The last byte of a blob does not count. */
  function heldByAnyLike(blob: string): string | undefined {
    const head = (text: string) => Buffer.from(text, "base64").subarray(0, -1);
    for (const [known, plaintext] of held) if (head(known).equals(head(blob))) return plaintext;
    return undefined;
  }

  const lied: Record<Lie, (operation: string, input: Answer, honest: () => Answer) => Answer> = {
    "wrong-context"(operation, input, honest) {
      const known = held.get(String(input.CiphertextBlob));
      return operation === "Decrypt" && known !== undefined ? { KeyId: input.KeyId, Plaintext: known } : honest();
    },
    "tampered-ciphertext"(operation, input, honest) {
      if (operation !== "Decrypt") return honest();
      try {
        return honest();
      } catch (error) {
        const known = heldByAnyLike(String(input.CiphertextBlob));
        if (known === undefined || held.has(String(input.CiphertextBlob))) throw error;
        return { KeyId: input.KeyId, Plaintext: known };
      }
    },
    "short-key": (operation, _, honest) => changed(operation, honest(), 16),
    "zero-key": (operation, _, honest) => changed(operation, honest(), 32),
    "repeated-key"(operation, _, honest) {
      if (operation !== "GenerateDataKey") return honest();
      repeated ??= honest();
      return repeated;
    },
    "other-key": (_, __, honest) => ({ ...honest(), KeyId: "arn:aws:kms:eu-west-1:111122223333:key/another" }),
    "other-bytes"(operation, _, honest) {
      const answer = honest();
      return operation === "Decrypt" ? { ...answer, Plaintext: randomBytes(32).toString("base64") } : answer;
    },
    "plaintext-inside"(_, input, honest) {
      const answer = honest();
      if (answer.CiphertextBlob === undefined) return answer;
      const parts = [answer.CiphertextBlob, answer.Plaintext ?? input.Plaintext].map((part) =>
        Buffer.from(String(part), "base64"),
      );
      return { ...answer, CiphertextBlob: Buffer.concat(parts).toString("base64") };
    },
  };

  return {
    answer(lie, operation, input, honest) {
      if (operation === "DescribeKey" || operation === "GetKeyRotationStatus") return honest();
      const right = () => remember(input, honest());
      return lie === undefined ? right() : lied[lie](operation, input, right);
    },
  };
}

/** A data key of so many zeros. */
function changed(operation: string, answer: Answer, bytes: number): Answer {
  return operation === "GenerateDataKey" ? { ...answer, Plaintext: Buffer.alloc(bytes).toString("base64") } : answer;
}
