/** `toThrowKms`: the error is a KmsError with this code (and, where given, a text or a field that it must name). */
import { expect } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";

declare module "vitest" {
  interface Matchers<R, T> {
    /** The value is a KmsError with this code; `about` is part of its message or one of its violations' fields. */
    toBeKmsError(code: KmsErrorCode, about?: string): T;
  }
}

expect.extend({
  toBeKmsError(received: unknown, code: KmsErrorCode, about?: string) {
    const seen =
      received instanceof KmsError
        ? `${received.code}: ${received.message} [${received.violations.map((v) => v.field).join(", ")}]`
        : String(received);
    const pass =
      received instanceof KmsError &&
      received.code === code &&
      (about === undefined || received.message.includes(about) || received.violations.some((v) => v.field === about));
    return { pass, message: () => `expected KmsError ${code}${about ? ` about ${about}` : ""}, got ${seen}` };
  },
});

/** What `call` throws or rejects with; fails the test when it does neither. */
export async function thrownBy(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("expected an error, but the call succeeded");
}
