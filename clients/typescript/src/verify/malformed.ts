/** Bytes or text that cannot be read as spans, or could be read in two ways. The message never shows what they hold. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

/** Returns the result of `read`, or the MalformedError that it throws. */
export function tried<T>(read: () => T): T | MalformedError {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return error;
    throw error;
  }
}
